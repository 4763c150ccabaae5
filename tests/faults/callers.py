"""Callers that are no devices: single calls, and streams of which some are broken off, over plain gRPC."""

import abc
import random
import threading
from collections import Counter
from types import TracebackType
from typing import Any

import grpc

from splitnet.protocol import MODEL_INFER, MODEL_STREAM_INFER, InferRequest, InferResponse
from tests.faults.background import Background
from tests.faults.package import Asked
from tests.programs.classifier import NAME

#: What a caller may be told while something fails; anything else is a fault of ours.
BEARABLE = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "RESOURCE_EXHAUSTED"})
_TIMEOUT_S = 1.0
_STREAM_TIMEOUT_S = 3.0
_MESSAGES = 20
# A channel whose connection fell silent would wait for TCP's own patience: dial anew.
_FAILURES = 3
_COMPLAINTS = 100


class Tally:
    """What came of many requests, counted by any thread."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        #: What must not be, at most 100 lines of it.
        self.complaints: list[str] = []
        self._lock = threading.Lock()

    def count(self, what: str, number: int = 1) -> None:
        """Count something."""
        with self._lock:
            self.counts[what] += number

    def complain(self, what: str) -> None:
        """Note something that must not be."""
        with self._lock:
            self.counts["wrong"] += 1
            if len(self.complaints) < _COMPLAINTS:
                self.complaints.append(what)


class Caller(Background):
    """A client in a thread of its own that asks an edge again and again."""

    name: str

    def __init__(self, target: str, asked: Asked, tally: Tally, *, pause_s: float, seed: int) -> None:
        """Take note of whom to ask.

        Args:
            target: HOST:PORT.
            asked: the samples.
            tally: where the outcomes are counted.
            pause_s: between one turn and the next.
            seed: of what is drawn.
        """
        super().__init__(self.name, ends_within_s=_STREAM_TIMEOUT_S + 5.0)
        self._target, self._asked, self._tally, self._pause_s = target, asked, tally, pause_s
        self._random = random.Random(seed)  # noqa: S311  a run that can be repeated

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if self._thread.is_alive():
            self._tally.complain(f"{self.name}: a call did not end")

    @abc.abstractmethod
    def turn(self, channel: grpc.Channel) -> None:
        """Ask once, and count what came of it.

        Raises:
            grpc.RpcError: the call failed.
        """

    def request(self, number: str) -> tuple[int, bytes]:
        """Return a sample drawn at random and a request for it."""
        sample = self._random.randrange(len(self._asked.x))
        tensors = {"x": self._asked.x[[sample]]}
        return sample, MODEL_INFER.encode_request(InferRequest(NAME, tensors, id=number))

    def check(self, sample: int, response: InferResponse) -> None:
        """Hold an answer against what the tier that gave it says to that sample."""
        tier = str(response.parameters.get("splitnet_exit", ""))
        if not self._asked.right(sample, tier, response.tensors["y"]):
            self._tally.complain(f"{self.name}: a wrong answer of {tier!r} to sample {sample}")
        self._tally.count(f"{self.name} OK")

    def _run(self) -> None:
        while not self._stopped.is_set():
            with grpc.insecure_channel(self._target) as channel:
                failures = 0
                while failures < _FAILURES and not self._stopped.wait(self._pause_s):
                    failures = 0 if self._turned(channel) else failures + 1

    def _turned(self, channel: grpc.Channel) -> bool:
        try:
            self.turn(channel)
        except grpc.RpcError as err:
            status = err.code().name
            self._tally.count(f"{self.name} {status}")
            if status not in BEARABLE:
                self._tally.complain(f"{self.name}: {status}: {err.details()}")
            return False
        return True


class Single(Caller):
    """One call at a time."""

    name = "single"

    def turn(self, channel: grpc.Channel) -> None:
        """Call ModelInfer."""
        call: Any = channel.unary_unary(MODEL_INFER.path)
        sample, message = self.request("single")
        response = MODEL_INFER.decode_response(call(message, timeout=_TIMEOUT_S))
        if response.id != "single":
            self._tally.complain(f"single: the answer's id is {response.id!r}")
        self.check(sample, response)


class Streams(Caller):
    """A stream of twenty requests; every third is broken off after some answers."""

    name = "stream"

    def turn(self, channel: grpc.Channel) -> None:
        """Call ModelStreamInfer."""
        requests = {f"{number}": self.request(f"{number}") for number in range(_MESSAGES)}
        open_samples = {number: sample for number, (sample, _) in requests.items()}
        broken_off = self._random.randrange(3) == 0
        enough = self._random.randrange(_MESSAGES) if broken_off else 0
        method: Any = channel.stream_stream(MODEL_STREAM_INFER.path)
        call = method(iter([message for _, message in requests.values()]), timeout=_STREAM_TIMEOUT_S)
        for message in call:
            self._take(MODEL_STREAM_INFER.decode_response(message), open_samples)
            if len(open_samples) <= enough:
                call.cancel()
                self._tally.count("stream broken off")
                return
        if open_samples:
            self._tally.complain(f"stream: {len(open_samples)} requests have no answer")

    def _take(self, said: Any, open_samples: dict[str, int]) -> None:
        if said.response.id not in open_samples:
            self._tally.complain(f"stream: an answer to {said.response.id!r}, which was answered or never asked")
            return
        sample = open_samples.pop(said.response.id)
        if not said.error_message:
            self.check(sample, said.response)
            return
        status = said.error_message.removeprefix("[").partition("]")[0]
        self._tally.count(f"stream message {status}")
        if status not in BEARABLE:
            self._tally.complain(f"stream message: {said.error_message}")
