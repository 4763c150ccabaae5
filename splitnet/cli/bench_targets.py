"""What `splitnet bench` puts its load on, and the first of two kinds: a device session."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from splitnet.bench import Submit
from splitnet.config import DeviceConfig
from splitnet.samples import Samples, read_samples
from splitnet.tensors import Tensors
from splitnet_device import Session

#: How long a link, or a tier's word on its model, may take before the first sample.
CONNECT_S = 10.0


@dataclass(frozen=True, slots=True)
class Target:
    """Something that answers samples.

    Attributes:
        submit: starts the request for one of the samples.
        samples: what there is to ask.
        class_output: the output whose largest entry is the predicted class; None where there is none.
        deadline_s: when an answer is due, seconds.
    """

    submit: Submit
    samples: Samples
    class_output: str | None
    deadline_s: float


@contextmanager
def session_target(config: DeviceConfig, source: Path, limit: int | None) -> Iterator[Target]:
    """Open a device session on the samples of a file; closing it waits for what is in flight.

    Raises:
        SplitNetError: the package or the file cannot be used.
    """
    with Session.from_config(config) as session:
        model = session.manifest.model
        samples = read_samples(source, tuple(entry.to_spec() for entry in model.inputs), limit=limit)
        session.wait_for_link(CONNECT_S)
        ready = one_by_one(samples)
        yield Target(
            lambda index: session.submit(ready[index]),
            samples,
            class_output([(entry.name, entry.shape) for entry in model.outputs]),
            config.deadline_ms / 1e3,
        )


def one_by_one(samples: Samples) -> list[Tensors]:
    """Take the samples apart beforehand: what LoadGen times begins with a request."""
    return [samples.take([index]) for index in range(samples.count)]


def class_output(outputs: Sequence[tuple[str, Sequence[int | str]]]) -> str | None:
    """Return the first output, of names with their shapes, that is [batch, classes]."""
    return next((name for name, shape in outputs if len(shape) == 2), None)
