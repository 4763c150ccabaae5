"""The device program, and its session as a library."""

from splitnet.runtime import Answer
from splitnet_device.session import Session

__all__ = ["Answer", "Session"]
