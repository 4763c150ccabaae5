"""Training on the device with onnxruntime and numpy alone (docs/learning.md)."""

from splitnet.learn.local.job import METRICS, LocalJob, LocalUpdate
from splitnet.learn.local.process import run_training
from splitnet.learn.local.train import train

__all__ = ["METRICS", "LocalJob", "LocalUpdate", "run_training", "train"]
