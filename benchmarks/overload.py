"""A tier at twice its capacity: how soon it refuses, and how long those that it takes have to wait.

A cloud whose segment is made to last some 10 ms, with a queue of 16. First as fast as it goes with four requests
in flight, which is its capacity; then twice that rate, whatever the answers do. Calls and a stream take turns.
"""

import itertools
import queue
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import grpc
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from benchmarks.harness import SEED, Figure, demand, median, read_options, show
from splitnet.cost import default_site
from splitnet.emulate.lab import TierProcess
from splitnet.partition import PartitionOptions, partition
from splitnet.protocol import MODEL_INFER, MODEL_STREAM_INFER, InferRequest, InferResponse

QUEUE = 16
_NAME = "slow"
_WIDTH, _LAYERS = 256, 12
#: At full speed a run takes some 0.1 ms.
_SPEED = 0.02
_ROUNDS = 3
_TIMEOUT_S = 10.0
_CLOSED_LOOP = 4


@dataclass(frozen=True, slots=True)
class Ended:
    """A request's end.

    Attributes:
        status: "OK" or a gRPC status name.
        took_ms: milliseconds since it was made.
        computed_ms: how long the tier says that it computed; 0 where it did not.
    """

    status: str
    took_ms: float
    computed_ms: float = 0.0


OnEnd = Callable[[Ended], None]


class Client(Protocol):
    """Somebody who asks without waiting."""

    def ask(self, on_end: OnEnd) -> None:
        """Make a request; `on_end` is told of its end, on any thread."""


@dataclass(frozen=True, slots=True)
class Overload:
    """What a tier did beyond its capacity.

    Attributes:
        capacity_per_s: requests a second with four in flight.
        accepted: took how long, milliseconds each.
        refused: how soon, milliseconds each.
        others: statuses that are neither OK nor RESOURCE_EXHAUSTED.
        computed: how long the tier computed, milliseconds for each that it accepted.
        seconds: of the load.
    """

    capacity_per_s: float
    accepted: Sequence[float]
    refused: Sequence[float]
    others: Sequence[str]
    computed: Sequence[float]
    seconds: float

    @property
    def longest_ms(self) -> float:
        """How long the last of a full queue takes if all of it computes as long as the slowest hundredth."""
        return QUEUE * quantile(self.computed, 0.99)


class Calls:
    """Single calls on one channel."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._call: Any = channel.unary_unary(MODEL_INFER.path)
        self._message = request("")

    def ask(self, on_end: OnEnd) -> None:
        """See `Client`."""
        start_s = time.perf_counter()
        future = self._call.future(self._message, timeout=_TIMEOUT_S)
        future.add_done_callback(lambda done: on_end(_ended(done, _since_ms(start_s))))


class Stream:
    """One stream, on which answers are told apart by their ids."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._open: dict[str, tuple[float, OnEnd]] = {}
        self._made = 0
        method: Any = channel.stream_stream(MODEL_STREAM_INFER.path)
        self._answers = method(iter(self._outgoing.get, None))
        self._thread = threading.Thread(target=self._take, name="answers")
        self._thread.start()

    def ask(self, on_end: OnEnd) -> None:
        """See `Client`."""
        self._made += 1
        self._open[f"{self._made}"] = (time.perf_counter(), on_end)
        self._outgoing.put(request(f"{self._made}"))

    def close(self) -> None:
        """End the stream once everything is answered."""
        self._outgoing.put(None)
        self._thread.join(_TIMEOUT_S)

    def _take(self) -> None:
        for message in self._answers:
            said = MODEL_STREAM_INFER.decode_response(message)
            start_s, on_end = self._open.pop(said.response.id)
            status = said.error_message.removeprefix("[").partition("]")[0] or "OK"
            on_end(Ended(status, _since_ms(start_s), _computed_ms(said.response)))


def request(number: str) -> bytes:
    """Return a request as bytes."""
    x = np.random.default_rng(SEED).standard_normal((1, _WIDTH), dtype=np.float32)
    return MODEL_INFER.encode_request(InferRequest(_NAME, {"x": x}, id=number))


def overload(client: Client, *, seconds: float, times: float = 2.0) -> Overload:
    """Measure the capacity for a third of the time, and ask so many times as much for the rest."""
    capacity = _capacity_per_s(client, seconds / 3)
    ended: queue.SimpleQueue[Ended] = queue.SimpleQueue()
    interval_s = 1 / (times * capacity)
    start_s = time.perf_counter()
    count = int(seconds * 2 / 3 / interval_s)
    for number in range(count):
        time.sleep(max(0.0, start_s + number * interval_s - time.perf_counter()))
        client.ask(ended.put)
    lasted_s = time.perf_counter() - start_s
    all_ended = [ended.get(timeout=_TIMEOUT_S) for _ in range(count)]
    by_status = {
        status: [each.took_ms for each in all_ended if each.status == status]
        for status in ("OK", "RESOURCE_EXHAUSTED")
    }
    others = [each.status for each in all_ended if each.status not in by_status]
    computed = [each.computed_ms for each in all_ended if each.status == "OK"]
    return Overload(capacity, by_status["OK"], by_status["RESOURCE_EXHAUSTED"], others, computed, lasted_s)


def _capacity_per_s(client: Client, seconds: float) -> float:
    """Return the answers a second with four requests in flight."""
    ended: queue.SimpleQueue[Ended] = queue.SimpleQueue()
    for _ in range(_CLOSED_LOOP):
        client.ask(ended.put)
    start_s, count = time.perf_counter(), 0
    while time.perf_counter() - start_s < seconds:
        ended.get(timeout=_TIMEOUT_S)
        count += 1
        client.ask(ended.put)
    lasted_s = time.perf_counter() - start_s
    for _ in range(_CLOSED_LOOP):
        ended.get(timeout=_TIMEOUT_S)
    return count / lasted_s


@contextmanager
def slow_cloud(folder: Path) -> Iterator[grpc.Channel]:
    """Run a cloud of a known capacity, one request at a time, and connect to it."""
    settings = folder / "cloud.toml"
    settings.write_text(
        f"queue_limit = {QUEUE}\nemulated_speed = {_SPEED}\n[batching]\nmax_samples = 1\n", encoding="utf-8"
    )
    with (
        TierProcess("cloud", slow_package(folder), ["--config", str(settings)]) as cloud,
        grpc.insecure_channel(cloud.address) as channel,
    ):
        yield channel


def slow_package(folder: Path) -> Path:
    """Package a model that answers `y` with what layers make of `x`, float32 [batch, 256], all in the cloud."""
    path = folder / "slow.onnx"
    weights = np.random.default_rng(SEED).standard_normal((_WIDTH, _WIDTH), dtype=np.float32) / _WIDTH**0.5
    names = ["x", *(f"layer{number}" for number in range(1, _LAYERS)), "y"]
    nodes = [helper.make_node("MatMul", [source, "w"], [made]) for source, made in itertools.pairwise(names)]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", _WIDTH]) for name in "xy")
    graph = helper.make_graph(nodes, _NAME, [x], [y], [numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    options = PartitionOptions(
        path, folder / "slow.split", default_site(), name=_NAME, place="all-cloud", codec="none", profile_s=0.05
    )
    return partition(options).package.path


def figures(name: str, found: Sequence[Overload]) -> list[Figure]:
    """Return what is shown of one way of asking, over its rounds."""
    demand(all(each.refused and each.accepted for each in found), f"{name}: none refused, or none accepted")
    soon = [statistics.median(each.refused) for each in found]
    latest = [quantile(each.refused, 0.99) for each in found]
    waits = [quantile(each.accepted, 0.99) / each.longest_ms for each in found]
    return [
        Figure(f"{name}: capacity, requests a second", median([each.capacity_per_s for each in found])),
        Figure(f"{name}: accepted of twice that, a second", median([len(e.accepted) / e.seconds for e in found])),
        Figure(f"{name}: refused, ms, median", median(soon), "<= 10", min(soon)),
        Figure(f"{name}: refused, ms, 99 %", median(latest), best=min(latest)),
        Figure(f"{name}: accepted, ms, median", median([statistics.median(each.accepted) for each in found])),
        Figure(f"{name}: accepted, ms, 99 %", median([quantile(each.accepted, 0.99) for each in found])),
        Figure(f"{name}: that over the longest of a full queue", median(waits), "<= 1", min(waits)),
        Figure(f"{name}: other ends", sum(len(each.others) for each in found), "<= 0"),
    ]


def quantile(values: Sequence[float], q: float) -> float:
    """Return the value that a share `q` of `values` is at or below."""
    return float(np.quantile(values, q))


def _ended(call: Any, took_ms: float) -> Ended:  # noqa: ANN401  (gRPC's calls have no type)
    status = call.code().name
    computed_ms = _computed_ms(MODEL_INFER.decode_response(call.result())) if status == "OK" else 0.0
    return Ended(status, took_ms, computed_ms)


def _computed_ms(response: InferResponse) -> float:
    computed_ms = response.parameters.get("splitnet_cloud_ms", 0.0)
    assert isinstance(computed_ms, float)
    return computed_ms


def _since_ms(start_s: float) -> float:
    return (time.perf_counter() - start_s) * 1e3


def main() -> None:
    """Measure both ways of asking."""
    options = read_options(__doc__, seconds=24.0)
    by_calls, by_stream = [], []
    with tempfile.TemporaryDirectory() as folder, slow_cloud(Path(folder)) as channel:
        calls = Calls(channel)
        with closing(Stream(channel)) as stream:
            for _ in range(_ROUNDS):
                by_calls.append(overload(calls, seconds=options.seconds / _ROUNDS / 2))
                by_stream.append(overload(stream, seconds=options.seconds / _ROUNDS / 2))
    found = figures("calls", by_calls) + figures("stream", by_stream)
    show(f"Twice the capacity, a queue of {QUEUE}", found, options)


if __name__ == "__main__":
    main()
