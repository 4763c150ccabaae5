"""The package's backup model: a small one that answers by itself where the device has no exit."""

import time
from concurrent.futures import Future
from typing import Self

from splitnet.config import DeviceConfig
from splitnet.deadline import Deadline
from splitnet.package import Package
from splitnet.runtime import Answer, BoundedExecutor, Pipeline, Segment, Stage
from splitnet.telemetry import Events
from splitnet.tensors import Tensors

#: Who answered, in an Answer's `exits`.
BACKUP = "backup"

# What is added to the expected time of a run: it is the last of its request's chances.
_MARGIN, _MARGIN_S = 1.5, 0.005

# Weight of the newest run in the running mean.
_NEWEST = 0.2


class Backup:
    """The backup model of one version."""

    def __init__(self, pipeline: Pipeline, run_s: float) -> None:
        self._pipeline = pipeline
        self._run_s = run_s

    @classmethod
    def of(cls, package: Package, config: DeviceConfig, executor: BoundedExecutor, events: Events) -> Self:
        """Load and warm the backup model of `package`, which has one.

        Args:
            package: that is run.
            config: the device's.
            executor: not that of the device's segments, so that one that hangs does not hold the backup up.
            events: told of its runs.

        Raises:
            PackageError: its file is missing or altered.
            ModelError: onnxruntime refuses it.
        """
        entry, model = package.manifest.backup, package.manifest.model
        assert entry is not None
        model_file = package.read_file(entry)
        segment = Segment(model_file, name=BACKUP, emulated_speed=config.emulated_speed, provider=config.provider)
        outputs = tuple(each.to_spec() for each in model.outputs)
        incoming = tuple(each.to_spec() for each in model.inputs)
        stage = Stage(BACKUP, segment, None, incoming, (), tuple(each.name for each in outputs))
        pipeline = Pipeline(
            [stage], outputs, executor, max_batch=config.max_batch, version=model.version, events=events
        )
        pipeline.warm_up()
        start_s = time.perf_counter()
        pipeline.warm_up()  # the first run pays for first-time work
        return cls(pipeline, time.perf_counter() - start_s)

    def reserve_s(self, samples: int, beside: int) -> float:
        """Return how long before a deadline to begin, so that the answer is there in time.

        Args:
            samples: of the request.
            beside: other requests that may need the backup at the same moment.
        """
        return self._run_s * samples * (1 + beside) * _MARGIN + _MARGIN_S

    def submit(self, inputs: Tensors, deadline: Deadline) -> "Future[Answer]":
        """Begin to answer; the future ends with the Answer or a SplitNetError.

        Raises:
            OverloadedError: too many requests wait for the backup.
            UnavailableError: the session is closed.
        """
        future = self._pipeline.submit(inputs, deadline)
        future.add_done_callback(self._note)
        return future

    def close(self) -> None:
        """Free the model."""
        self._pipeline.close()

    def _note(self, done: "Future[Answer]") -> None:
        """Take a run into the mean, from which the next ones' reserve is."""
        if done.cancelled() or done.exception() is not None:
            return
        answer = done.result()
        took_s = answer.timings_ms[BACKUP] / 1e3 / len(answer.exits)
        self._run_s += _NEWEST * (took_s - self._run_s)
