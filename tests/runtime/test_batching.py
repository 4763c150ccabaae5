"""Requests computed together: each gets what it would have got alone, and none waits or fails for another."""

import json
import logging
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from splitnet.config import BatchingConfig
from splitnet.deadline import Deadline
from splitnet.errors import DeadlineExceededError, InvalidArgumentError, OverloadedError, SplitNetError
from splitnet.runtime import Answer, BoundedExecutor, Pipeline, Segment, Stage
from splitnet.telemetry import Events, SegmentRun
from splitnet.telemetry.logs import JsonFormatter
from splitnet.tensors import BATCH, Array, Tensors, TensorSpec
from tests.runtime.gate import held
from tests.runtime.segments import (
    BYTES,
    A,
    T,
    Tiers,
    U,
    X,
    Y,
    at_device_exit,
    at_edge_exit,
    failing,
    recording,
    same,
    soon,
    stage,
    whole,
)

TIMEOUT_S = 30.0
#: More than the sizes of all requests of a test together.
TOGETHER = BatchingConfig(max_samples=64)


class Runs(Events):
    """Notes the runs of segments."""

    def __init__(self) -> None:
        self.seen: list[SegmentRun] = []

    def segment_run(self, run: SegmentRun) -> None:
        self.seen.append(run)

    @property
    def samples(self) -> list[int]:
        return [run.samples for run in self.seen]


@pytest.fixture
def executor() -> Iterator[BoundedExecutor]:
    made = BoundedExecutor(workers=1, limit=64, name="test")
    yield made
    made.close()


def rows(*numbers: float) -> Array:
    """A request of a sample for each number, which the device is not sure of."""
    return np.array([(0, 0, number, number) for number in numbers], np.float32)


def together(pipeline: Pipeline, executor: BoundedExecutor, requests: Sequence[Array]) -> list["Future[Answer]"]:
    """Submit requests that all wait before the first is computed."""
    gate = held(executor)
    name = pipeline.incoming[0].name
    futures = [pipeline.submit({name: x}, soon(), request_id=f"r{at}") for at, x in enumerate(requests)]
    gate.opened.set()
    return futures


@pytest.fixture(scope="module")
def tiers() -> Iterator[Tiers]:
    made = Tiers(BatchingConfig(max_samples=6))
    yield made
    made.close()


CONFIDENCES = st.sampled_from([0.0, 0.25, 0.5, 0.75, 0.875, 1.0, np.nan])


@st.composite
def loads(draw: st.DrawFn) -> list[Array]:
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=6))
    count = sum(sizes)
    sure = [draw(st.lists(CONFIDENCES, min_size=count, max_size=count)) for _ in range(2)]
    x = np.column_stack([*sure, np.arange(count), np.arange(count) / 7]).astype(np.float32)
    return np.split(x, np.cumsum(sizes)[:-1])


@settings(max_examples=60)
@given(loads())
def test_each_request_gets_what_it_would_have_got_alone(tiers: Tiers, requests: list[Array]) -> None:
    gates = [held(executor) for executor in tiers.executors[:1]]
    futures = [tiers.device.submit({"x": x}, soon()) for x in requests]
    for gate in gates:
        gate.opened.set()
    for x, future in zip(requests, futures, strict=True):
        got = future.result(TIMEOUT_S)
        expected = np.select([x[:, 0] >= 0.5, x[:, 1] >= 0.8], ["device", "edge"], "cloud")
        assert got.exits == tuple(expected)
        assert got.fallbacks == ("",) * len(x)
        references = {"device": at_device_exit(x), "edge": at_edge_exit(x), "cloud": whole(x)}
        for index, tier in enumerate(expected):
            assert same(got.outputs["y"][index], references[str(tier)]["y"][index])
            assert same(got.outputs["a"][:, index], references[str(tier)]["a"][:, index])
        assert set(got.timings_ms) == set(got.queue_ms)
        assert set(got.timings_ms) >= {"device", *got.exits}


def test_what_waits_is_computed_together_in_its_order_up_to_a_limit(executor: BoundedExecutor) -> None:
    runs = Runs()
    pipeline = Pipeline(
        [stage("cloud")],
        [Y],
        executor,
        batching=BatchingConfig(max_samples=4),
        events=runs,
        version=3,
        plan="p",
    )
    requests = [np.full((size, 4), size, np.float32) for size in (1, 2, 2, 6, 1)]
    futures = together(pipeline, executor, requests)
    for x, future in zip(requests, futures, strict=True):
        assert same(future.result(TIMEOUT_S).outputs["y"], x * np.float32(3))
    assert runs.samples == [3, 2, 6, 1]  # each as it comes: a request is neither divided nor overtaken
    first = runs.seen[0]
    assert (first.segment, first.plan, first.version, first.requests) == ("cloud", "p", 3, 2)
    assert len(first.queue_s) == 2
    assert all(waited_s > 0 for waited_s in first.queue_s)
    assert futures[0].result().queue_ms == {"cloud": pytest.approx(first.queue_s[0] * 1e3)}


def test_an_answer_keeps_nothing_of_the_others(executor: BoundedExecutor) -> None:
    pipeline = Pipeline([stage("cloud")], [Y], executor, batching=TOGETHER)
    futures = together(pipeline, executor, [np.zeros((2, 4), np.float32)] * 3)
    for future in futures:
        array = future.result(TIMEOUT_S).outputs["y"]
        owner = array if array.base is None else array.base
        assert owner.nbytes == array.nbytes


def test_a_lone_request_is_held_for_the_delay_and_no_longer(executor: BoundedExecutor) -> None:
    batching = BatchingConfig(max_samples=2, max_delay_ms=40)
    pipeline = Pipeline([stage("cloud")], [Y], executor, batching=batching)
    alone = pipeline.submit({"u": rows(1)}, soon()).result(TIMEOUT_S)
    assert alone.queue_ms["cloud"] >= 40


def test_a_full_batch_does_not_wait(executor: BoundedExecutor) -> None:
    runs = Runs()
    batching = BatchingConfig(max_samples=2, max_delay_ms=1_000)
    pipeline = Pipeline([stage("cloud")], [Y], executor, batching=batching, events=runs)
    futures = [pipeline.submit({"u": rows(number)}, soon()) for number in (1, 2)]
    assert all(future.result(TIMEOUT_S).queue_ms["cloud"] < 900 for future in futures)
    assert runs.samples == [2]


def test_a_request_is_held_no_longer_where_another_thread_is_free() -> None:
    batching = BatchingConfig(max_samples=2, max_delay_ms=5)
    for _ in range(8):  # whichever of the threads takes the other call
        executor = BoundedExecutor(workers=2, limit=4, name="test")
        future = Pipeline([stage("cloud")], [Y], executor, batching=batching).submit({"u": rows(1)}, soon())
        gate = held(executor)
        try:
            assert future.result(TIMEOUT_S / 3).exits == ("cloud",)
        finally:
            gate.opened.set()
            executor.close()


def test_a_tier_that_stops_waits_for_no_company() -> None:
    executor = BoundedExecutor(workers=1, limit=4, name="test")
    batching = BatchingConfig(max_samples=2, max_delay_ms=1_000)
    future = Pipeline([stage("cloud")], [Y], executor, batching=batching).submit({"u": rows(1)}, soon())
    executor.close()
    assert future.result(TIMEOUT_S).queue_ms["cloud"] < 900


def test_tensors_without_a_batch_axis_run_alone(executor: BoundedExecutor) -> None:
    runs = Runs()
    u = TensorSpec("u", "float32", (1, 4))
    fixed = Stage("cloud", stage("cloud").segment, None, (u,), (), ("y",))
    y = TensorSpec("y", "float32", (1, 4))
    pipeline = Pipeline([fixed], [y], executor, batching=TOGETHER, events=runs)
    futures = together(pipeline, executor, [rows(1), rows(2)])
    assert [future.result(TIMEOUT_S).outputs["y"][0, 3] for future in futures] == [3, 6]
    assert runs.samples == [1, 1]


def test_samples_are_joined_along_whichever_axis_they_have(executor: BoundedExecutor) -> None:
    wire = (TensorSpec("w", "float32", (4, BATCH)), TensorSpec("v", "int64", (BATCH, 2)))
    forward = recording(failing(OverloadedError("full"), at_once=True))
    relay = Pipeline(
        [Stage("edge", None, None, wire, wire, ())], [Y], executor, forward=forward, batching=TOGETHER
    )
    values: list[Tensors] = [
        {"w": np.full((4, size), size, np.float32), "v": np.full((size, 2), size, np.int64)} for size in (1, 3, 2)
    ]
    gate = held(executor)
    futures = [relay.submit(tensors, soon()) for tensors in values]
    gate.opened.set()
    for future in futures:
        assert isinstance(future.exception(TIMEOUT_S), OverloadedError)
    (sent,) = forward.sent
    assert same(sent["w"], np.concatenate([tensors["w"] for tensors in values], axis=1))
    assert same(sent["v"], np.concatenate([tensors["v"] for tensors in values]))


def picking() -> bytes:
    """A model that fails on a row number which is not in its table of three."""
    table = numpy_helper.from_array(np.arange(3, dtype=np.float32), "table")
    node = helper.make_node("Gather", ["table", "i"], ["o"])
    i = helper.make_tensor_value_info("i", TensorProto.INT64, [BATCH])
    o = helper.make_tensor_value_info("o", TensorProto.FLOAT, [BATCH])
    graph = helper.make_graph([node], "picking", [i], [o], [table])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


def test_values_that_fail_fail_their_request_alone(executor: BoundedExecutor) -> None:
    specs = (TensorSpec("i", "int64", (BATCH,)),), (TensorSpec("o", "float32", (BATCH,)),)
    segment = Segment(picking(), name="picking")
    pipeline = Pipeline(
        [Stage("cloud", segment, None, specs[0], (), ("o",))], specs[1], executor, batching=TOGETHER
    )
    good, bad, other = together(pipeline, executor, [np.array([0, 1]), np.array([9]), np.array([2])])
    assert good.result(TIMEOUT_S).outputs["o"].tolist() == [0, 1]
    assert other.result(TIMEOUT_S).outputs["o"].tolist() == [2]
    assert isinstance(bad.exception(TIMEOUT_S), InvalidArgumentError)


def test_values_that_cannot_be_made_end_their_request_alone(executor: BoundedExecutor) -> None:
    def load() -> Tensors:
        raise InvalidArgumentError("no frame")

    pipeline = Pipeline([stage("cloud")], [Y], executor, batching=TOGETHER)
    gate = held(executor)
    bad = pipeline.submit({"u": rows(1)}, soon(), load=load)
    good = pipeline.submit({"u": rows(2)}, soon(), load=lambda: {"u": rows(5)})
    gate.opened.set()
    assert isinstance(bad.exception(TIMEOUT_S), InvalidArgumentError)
    assert good.result(TIMEOUT_S).outputs["y"][0, 3] == 15


def test_what_stays_open_goes_up_as_one_message(
    executor: BoundedExecutor, tiers: Tiers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    forward = recording(tiers.cloud.submit)
    pipeline = Pipeline([stage("edge")], [Y], executor, forward=forward, batching=TOGETHER)
    sure = np.array([[0, 2, 5, 5]], np.float32)
    futures = together(pipeline, executor, [rows(1, 2), sure, np.concatenate([sure, rows(3)])])
    answers = [future.result(TIMEOUT_S) for future in futures]
    assert [got.exits for got in answers] == [("cloud", "cloud"), ("edge",), ("edge", "cloud")]
    assert [got.outputs["y"][-1, 3] for got in answers] == [9, 25, 12]
    assert [tensors["u"][:, 3].tolist() for tensors in forward.sent] == [[2, 3, 4]]
    said = json.loads(JsonFormatter().format(caplog.records[-1]))
    assert (said["request_id"], said["stands_for"]) == (forward.ids[0], ["r0", "r2"])
    assert re.fullmatch("[0-9a-f]{16}", forward.ids[0])
    # A request that was answered before is not said to have been anywhere else.
    assert [set(got.timings_ms) for got in answers] == [{"edge", "cloud"}, {"edge"}, {"edge", "cloud"}]


def test_requests_share_a_message_only_with_those_whose_time_is_near(
    executor: BoundedExecutor, tiers: Tiers
) -> None:
    forward = recording(tiers.edge.submit)
    pipeline = Pipeline([stage("device", exits=False)], [Y, A], executor, forward=forward, batching=TOGETHER)
    deadlines = [Deadline.after_ms(limit_s * 1e3) for limit_s in (50, 20, 51, 21)]
    gate = held(executor)
    futures = [
        pipeline.submit({"x": rows(number)}, deadline, request_id=str(number))
        for number, deadline in enumerate(deadlines)
    ]
    gate.opened.set()
    assert [future.result(TIMEOUT_S).outputs["y"][0, 3] for future in futures] == [3, 9, 15, 21]
    assert forward.deadlines == [deadlines[1], deadlines[0]]
    assert [tensors["t"][:, 3].tolist() for tensors in forward.sent] == [[2, 6], [0, 4]]
    assert len(set(forward.ids)) == 2


def test_above_too_one_request_does_not_fail_another(executor: BoundedExecutor, tiers: Tiers) -> None:
    sent: list[Array] = []
    ids: list[str] = []

    def forward(
        tensors: Tensors, deadline: Deadline, *, request_id: str = "", priority: int = 0
    ) -> "Future[Answer]":
        sent.append(tensors["u"][:, 3])
        ids.append(request_id)
        if 8 in sent[-1]:
            raise InvalidArgumentError("not on these values")
        return tiers.cloud.submit(tensors, deadline, request_id=request_id, priority=priority)

    pipeline = Pipeline([stage("edge")], [Y], executor, forward=forward, batching=TOGETHER)
    futures = together(pipeline, executor, [rows(1), rows(7), rows(2)])
    assert [future.result(TIMEOUT_S).exits for future in futures] == [("cloud",), ("edge",), ("cloud",)]
    assert futures[1].result().fallbacks == ("INVALID_ARGUMENT",)
    assert [values.tolist() for values in sent] == [[2, 8, 3], [2], [8], [3]]
    assert ids[1:] == ["r0", "r1", "r2"]


@pytest.mark.parametrize("error", [OverloadedError("full"), DeadlineExceededError("late")])
def test_each_request_of_a_batch_falls_back(error: SplitNetError, executor: BoundedExecutor) -> None:
    pipeline = Pipeline(
        [stage("device")], [Y, A], executor, forward=failing(error, at_once=False), batching=TOGETHER
    )
    requests = [rows(1, 2), rows(3)]
    for x, future in zip(requests, together(pipeline, executor, requests), strict=True):
        got = future.result(TIMEOUT_S)
        assert got.exits == ("device",) * len(x)
        assert all(got.fallbacks)
        assert same(got.outputs["a"], at_device_exit(x)["a"])


def test_without_an_exit_each_request_of_a_batch_fails(executor: BoundedExecutor) -> None:
    error = OverloadedError("full")
    stages = [stage("device", exits=False)]
    pipeline = Pipeline(stages, [Y, A], executor, forward=failing(error, at_once=True), batching=TOGETHER)
    for future in together(pipeline, executor, [rows(1), rows(2)]):
        assert future.exception(TIMEOUT_S) is error


def test_several_stages_are_run_on_what_stays(executor: BoundedExecutor) -> None:
    runs = Runs()
    stages = [stage("device"), stage("edge"), stage("cloud")]
    pipeline = Pipeline(stages, [Y, A], executor, batching=TOGETHER, events=runs)
    sure = np.array([[1, 0, 5, 5]], np.float32)
    futures = together(pipeline, executor, [rows(1), sure, rows(2, 3)])
    assert [future.result(TIMEOUT_S).exits for future in futures] == [("cloud",), ("device",), ("cloud",) * 2]
    assert [(run.segment, run.samples, run.requests) for run in runs.seen] == [
        ("device", 4, 3),
        ("edge", 3, 2),
        ("cloud", 3, 2),
    ]
    assert all(waited_s > 0 for waited_s in runs.seen[0].queue_s)
    assert runs.seen[1].queue_s == (0.0, 0.0)


class Noting(Segment):
    """A segment that notes the shapes that it is run on."""

    def __init__(self) -> None:
        super().__init__(BYTES["device"], name="device")
        self.seen: list[tuple[int, ...]] = []

    def run(self, tensors: Tensors) -> Tensors:
        self.seen.extend(array.shape for array in tensors.values())
        return super().run(tensors)


def test_warming_up_runs_one_sample_and_a_full_batch(executor: BoundedExecutor) -> None:
    segment = Noting()
    stages = [Stage("device", segment, None, (X,), (T,), ("a",)), Stage("edge", None, None, (T,), (U,), ())]
    Pipeline(stages, [Y, A], executor, batching=BatchingConfig(max_samples=5)).warm_up()
    Pipeline(stages, [Y, A], executor).warm_up()
    assert segment.seen == [(1, 4), (5, 4), (1, 4)]


def test_a_request_of_a_batch_took_its_share_of_the_run(executor: BoundedExecutor) -> None:
    runs = Runs()
    requests = [np.zeros((size, 4), np.float32) for size in (1, 3)]
    pipeline = Pipeline([stage("cloud")], [Y], executor, batching=TOGETHER, events=runs)
    answers = [each.result(TIMEOUT_S) for each in together(pipeline, executor, requests)]
    (run,) = runs.seen
    assert [answer.timings_ms["cloud"] for answer in answers] == [
        pytest.approx(run.compute_s * 250),
        pytest.approx(run.compute_s * 750),
    ]
