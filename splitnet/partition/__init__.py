"""`splitnet partition` as a library: one step of the pipeline a file."""

from splitnet.partition.options import PartitionOptions
from splitnet.partition.pipeline import partition
from splitnet.partition.result import PartitionResult

__all__ = ["PartitionOptions", "PartitionResult", "partition"]
