"""What a device keeps of the samples that it was asked about: those that a deeper tier answered, to learn from."""

import itertools
import logging
import threading
import time
from collections import OrderedDict
from dataclasses import replace

import numpy as np

from splitnet.config import DeviceConfig
from splitnet.errors import InvalidArgumentError, NotFoundError
from splitnet.learn.store import Limits, Sample, SampleKeeper, Signature, StoreWriter
from splitnet.package import Manifest
from splitnet.runtime import Answer
from splitnet.tensors import Tensors
from splitnet_device.teaching import ClassOutput

logger = logging.getLogger(__name__)

# How long a label, and the end of a session, wait for the disk.
_LABEL_S = 10.0
_CLOSE_S = 10.0


class Memory:
    """Gives every sample of a session an id, keeps the last ones at hand, and stores what teaches.

    Nothing here makes a request wait: the store is written by a thread of its own.
    """

    def __init__(self, config: DeviceConfig, manifest: Manifest) -> None:
        """Open the store of `config`.

        Raises:
            ConfigError: the model is no classifier, or the store holds another model's samples.
            OperatorError: the store is damaged or cannot be written.
            UnavailableError: another process holds the store.
        """
        assert config.store is not None
        self._path = config.store
        self._output = ClassOutput.of(manifest)
        self._signature = Signature.of(manifest, self._output.classes)
        limits = Limits(config.store_limit_bytes, config.store_policy)
        keeper = SampleKeeper(config.store, self._signature, limits)
        try:
            self._ids = itertools.count(keeper.reserve_ids())
        except BaseException:
            keeper.close()
            raise
        self._writer = StoreWriter(keeper)
        self._most_recent = config.recent
        self._recent: OrderedDict[int, Sample] = OrderedDict()
        self._recent_lock = threading.Lock()

    def remember(self, inputs: Tensors, answer: Answer) -> Answer:
        """Return `answer` with its samples' ids, by which they are remembered from now on."""
        return replace(answer, ids=self._remembered(inputs, answer))

    def feedback(self, sample_id: int, label: int) -> None:
        """Store a person's label of a sample; see `Session.feedback`."""
        if isinstance(label, bool) or not isinstance(label, int | np.integer):
            raise InvalidArgumentError(f"label: expected an integer, got {label!r}")
        if not 0 <= label < self._output.classes:
            raise InvalidArgumentError(f"label: expected 0 to {self._output.classes - 1}, got {label}")
        with self._recent_lock:
            recent = self._recent.get(sample_id)
        labelled = None if recent is None else replace(recent, label=int(label))
        try:
            self._writer.label(sample_id, int(label), otherwise=labelled, timeout_s=_LABEL_S)
        except NotFoundError as err:
            raise NotFoundError(
                f"no sample {sample_id}: neither in {self._path} nor among the last {self._most_recent} samples; "
                "give the id of an Answer of this device, sooner, or raise `recent`"
            ) from err

    def close(self) -> None:
        """Write what waits for the disk, and close the store."""
        if not self._writer.close(_CLOSE_S):
            logger.warning("%s: not everything was written within %g s; it is left", self._path, _CLOSE_S)
        if self._writer.dropped:
            logger.warning("%s: %d samples were not kept", self._path, self._writer.dropped)

    def _remembered(self, inputs: Tensors, answer: Answer) -> tuple[int, ...]:
        now_s = time.time()
        scores = answer.outputs[self._output.name]
        ids = tuple(itertools.islice(self._ids, len(answer.exits)))
        for index, (sample_id, tier) in enumerate(zip(ids, answer.exits, strict=True)):
            taught = tier != "device" and not answer.fallbacks[index]
            if not taught and not self._most_recent:
                continue
            sample = Sample(
                id=sample_id,
                inputs=self._signature.pack(inputs, index),
                teacher=self._output.probabilities(scores[index]) if taught else None,
                tier=tier,
                label=None,
                time_s=now_s,
            )
            self._keep(sample)
        return ids

    def _keep(self, sample: Sample) -> None:
        if sample.teacher is not None:
            self._writer.put(sample)
        if self._most_recent:
            with self._recent_lock:
                self._recent[sample.id] = sample
                if len(self._recent) > self._most_recent:
                    self._recent.popitem(last=False)
