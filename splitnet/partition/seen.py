"""What calibration samples made of the tensors that may be sent: statistics for codecs, values for codings."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from splitnet.codec import Bottleneck, ValueStatistics, statistics_of
from splitnet.partition.analysis import Analysis
from splitnet.tensors import Array

# Ranges are of at most so many samples, in batches that are small because every tensor is kept.
_MOST_SAMPLES = 256
_BATCH = 4
# Fewer where the model is slow: so long is spent on running it, but for so many samples at least.
_SECONDS = 3.0
_LEAST_SAMPLES = 16
# Codings are measured on the values of the first batch, of tensors that are not too large to be worth sending.
_KEPT_EACH_BYTES = 8 * 2**20
_KEPT_BYTES = 128 * 2**20


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of tensors' values.

    Attributes:
        statistics: by tensor, over calibration samples; empty without them, since random samples say nothing.
        values: by tensor, what a few samples made of it; not of all where they are large.
        bottlenecks: by tensor, those that were trained.
    """

    statistics: Mapping[str, ValueStatistics] = field(default_factory=dict)
    values: Mapping[str, Array] = field(default_factory=dict)
    bottlenecks: Mapping[str, Bottleneck] = field(default_factory=dict)


def look(analysis: Analysis, tensors: Collection[str], *, sample_ms: float) -> Seen:
    """Run calibration samples and look at `tensors`.

    Args:
        analysis: the model with its samples.
        tensors: names of tensors that can be sent.
        sample_ms: what one sample takes here, ms.
    """
    if not analysis.calibrated or not tensors:
        return Seen()
    count = min(
        max(_LEAST_SAMPLES, int(_SECONDS * 1e3 / max(sample_ms, 1e-6))), _MOST_SAMPLES, analysis.samples.count
    )
    statistics: dict[str, ValueStatistics] = {}
    values: dict[str, Array] = {}
    left = _KEPT_BYTES
    for made in analysis.whole.values(tensors, count=count, batch=_BATCH):
        for name, array in made.items():
            found = statistics_of(analysis.specs[name], array)
            statistics[name] = statistics[name].merge(found) if name in statistics else found
            if name not in values and array.nbytes <= min(left, _KEPT_EACH_BYTES):
                values[name] = array
                left -= array.nbytes
    return Seen(statistics, values)
