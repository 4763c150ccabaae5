"""The device's bounded store of samples on its own disk (docs/learning.md)."""

from splitnet.learn.store.admission import Limits
from splitnet.learn.store.keeper import SampleKeeper
from splitnet.learn.store.sample import NO_LABEL, Sample, StoredSamples
from splitnet.learn.store.signature import Signature
from splitnet.learn.store.store import SampleStore, StoreStatus
from splitnet.learn.store.writer import StoreWriter

__all__ = [
    "NO_LABEL",
    "Limits",
    "Sample",
    "SampleKeeper",
    "SampleStore",
    "Signature",
    "StoreStatus",
    "StoreWriter",
    "StoredSamples",
]
