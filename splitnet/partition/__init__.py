"""`splitnet partition` as a library: one step of the pipeline a file."""

from splitnet.partition.options import CODEC_CHOICES, PLACES, PartitionOptions
from splitnet.partition.pipeline import PartitionResult, partition

__all__ = ["CODEC_CHOICES", "PLACES", "PartitionOptions", "PartitionResult", "partition"]
