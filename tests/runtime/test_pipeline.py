"""The router: who leaves where, what goes up, what comes back, and who answers when nothing does."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.deadline import Deadline
from splitnet.errors import (
    ConfigError,
    DeadlineExceededError,
    InvalidArgumentError,
    ModelError,
    NotFoundError,
    OperatorError,
    OverloadedError,
    PackageError,
    PeerProtocolError,
    SplitNetError,
    UnavailableError,
    outcome_of,
)
from splitnet.runtime import Answer, BoundedExecutor, Pipeline, Stage
from splitnet.tensors import Array, Tensors
from tests.runtime.segments import (
    A,
    T,
    Tiers,
    U,
    X,
    Y,
    answer,
    at_device_exit,
    at_edge_exit,
    failing,
    past,
    recording,
    same,
    soon,
    stage,
    whole,
)

#: Confidences around the thresholds 0.5 (device) and 0.8 (edge), and the odd ones.
CONFIDENCES = st.sampled_from([0.0, 0.25, 0.5, 0.75, 0.875, 1.0, np.nan, np.inf, -np.inf])


@st.composite
def batches(draw: st.DrawFn) -> Array:
    rows = draw(
        st.lists(st.tuples(CONFIDENCES, CONFIDENCES, st.floats(-100, 100, width=32)), min_size=1, max_size=7)
    )
    return np.array([(*row, index) for index, row in enumerate(rows)], np.float32)


@pytest.fixture(scope="module")
def tiers() -> Iterator[Tiers]:
    made = Tiers()
    yield made
    made.close()


@pytest.fixture
def executor() -> Iterator[BoundedExecutor]:
    made = BoundedExecutor(workers=1, limit=4, name="test")
    yield made
    made.close()


@given(batches())
def test_each_sample_is_answered_where_it_is_sure_and_as_the_whole_would(tiers: Tiers, x: Array) -> None:
    tiers.to_edge.sent.clear()
    tiers.to_cloud.sent.clear()
    got = answer(tiers.device, x)
    at_device = x[:, 0] >= 0.5
    at_edge = ~at_device & (x[:, 1] >= 0.8)
    expected = np.select([at_device, at_edge], ["device", "edge"], "cloud")
    assert got.exits == tuple(expected)
    assert got.fallbacks == ("",) * len(x)
    references = {"device": at_device_exit(x), "edge": at_edge_exit(x), "cloud": whole(x)}
    for index, tier in enumerate(expected):
        assert same(got.outputs["y"][index], references[str(tier)]["y"][index])
        assert same(got.outputs["a"][:, index], references[str(tier)]["a"][:, index])
    assert got.outputs["a"].shape == (4, len(x))
    # Forward is asked once, with just the samples that are not sure, in their order; never with none.
    for sent, name, open_, value in (
        (tiers.to_edge.sent, "t", ~at_device, x * np.float32(2)),
        (tiers.to_cloud.sent, "u", ~at_device & ~at_edge, x * np.float32(2) + np.float32(1)),
    ):
        assert len(sent) == int(open_.any())
        for tensors in sent:
            assert tensors.keys() == {name}
            assert same(tensors[name], value[open_])
    assert set(got.timings_ms) == {"device"} | ({"edge"} if (~at_device).any() else set()) | (
        {"cloud"} if "cloud" in expected else set()
    )


@given(batches())
def test_one_tier_that_runs_all_stages_answers_alike(tiers: Tiers, x: Array) -> None:
    pipeline = Pipeline([stage("device"), stage("edge"), stage("cloud")], [Y, A], tiers.executors[0])
    got, apart = answer(pipeline, x), answer(tiers.device, x)
    assert got.exits == apart.exits
    mid = np.array(got.exits) == "edge"
    # At the edge's exit one pipeline answers `a` from the exit as well: nothing below has answered before.
    assert same(got.outputs["y"], apart.outputs["y"])
    assert same(got.outputs["a"][:, ~mid], apart.outputs["a"][:, ~mid])
    assert same(got.outputs["a"][:, mid], got.outputs["y"].T[:, mid])


def test_without_exits_every_sample_reaches_the_last_stage(executor: BoundedExecutor) -> None:
    stages = [stage(tier, exits=False) for tier in ("device", "edge", "cloud")]
    x = np.ones((3, 4), np.float32)
    got = answer(Pipeline(stages, [Y, A], executor), x)
    assert got.exits == ("cloud",) * 3
    assert same(got.outputs["y"], whole(x)["y"])
    assert same(got.outputs["a"], whole(x)["a"])


def test_a_tier_without_a_segment_relays(tiers: Tiers, executor: BoundedExecutor) -> None:
    forward = recording(Pipeline([stage("cloud")], [Y], executor).submit)
    relay = Pipeline([Stage("edge", None, None, (U,), (U,), ())], [Y], tiers.executors[1], forward=forward)
    u = np.ones((2, 4), np.float32)
    got = answer(relay, u)
    assert got.exits == ("cloud", "cloud")
    assert same(got.outputs["y"], u * np.float32(3))
    assert same(forward.sent[0]["u"], u)


MIXED = np.array([[0.9, 0, 1, 2], [0.1, 0, 3, 4], [np.nan, 0, 5, 6], [0.5, 0, 7, 8]], np.float32)
ERRORS: list[SplitNetError] = [
    kind("text")
    for kind in (
        InvalidArgumentError,
        NotFoundError,
        UnavailableError,
        DeadlineExceededError,
        OverloadedError,
        PeerProtocolError,
        ConfigError,
        PackageError,
        ModelError,
        OperatorError,
        SplitNetError,
    )
]


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "later"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_the_devices_exit_answers_for_whoever_gets_no_answer(
    error: SplitNetError,
    at_once: bool,  # noqa: FBT001
    executor: BoundedExecutor,
) -> None:
    pipeline = Pipeline([stage("device")], [Y, A], executor, forward=failing(error, at_once=at_once))
    got = answer(pipeline, MIXED)
    assert got.exits == ("device",) * 4
    reason = outcome_of(error).status
    assert got.fallbacks == ("", reason, reason, "")
    for name, array in at_device_exit(MIXED).items():
        assert same(got.outputs[name], array)


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "later"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_without_an_exit_the_error_is_the_answer(
    error: SplitNetError,
    at_once: bool,  # noqa: FBT001
    executor: BoundedExecutor,
) -> None:
    stages = [stage("device", exits=False)]
    pipeline = Pipeline(stages, [Y, A], executor, forward=failing(error, at_once=at_once))
    with pytest.raises(type(error), match="text") as caught:
        answer(pipeline, MIXED)
    assert caught.value is error


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "later"])
def test_a_fault_of_our_own_is_no_reason_to_fall_back(at_once: bool, executor: BoundedExecutor) -> None:  # noqa: FBT001
    pipeline = Pipeline([stage("device")], [Y, A], executor, forward=failing(KeyError("bug"), at_once=at_once))
    with pytest.raises(KeyError, match="bug"):
        answer(pipeline, MIXED)


def test_without_a_way_up_the_deepest_exit_answers(executor: BoundedExecutor) -> None:
    x = np.array([[0.9, 0.0, 1, 1], [0.1, 0.9, 2, 2], [0.1, 0.1, 3, 3]], np.float32)
    both = answer(Pipeline([stage("device"), stage("edge")], [Y, A], executor), x)
    assert both.exits == ("device", "edge", "edge")
    assert both.fallbacks == ("", "", "UNAVAILABLE")
    assert same(both.outputs["y"][2], at_edge_exit(x)["y"][2])
    lower = answer(Pipeline([stage("device"), stage("edge", exits=False)], [Y, A], executor), x)
    assert lower.exits == ("device",) * 3
    assert lower.fallbacks == ("", "UNAVAILABLE", "UNAVAILABLE")
    assert same(lower.outputs["y"], at_device_exit(x)["y"])


def test_the_reason_of_a_fallback_above_is_kept(tiers: Tiers, executor: BoundedExecutor) -> None:
    edge = Pipeline([stage("edge")], [Y], tiers.executors[1], forward=failing(UnavailableError(""), at_once=True))
    got = answer(Pipeline([stage("device")], [Y, A], executor, forward=edge.submit), MIXED)
    assert got.exits == ("device", "edge", "edge", "device")
    assert got.fallbacks == ("", "UNAVAILABLE", "UNAVAILABLE", "")
    for index in (1, 2):
        assert same(got.outputs["y"][index], at_edge_exit(MIXED)["y"][index])
        assert same(got.outputs["a"][:, index], whole(MIXED)["a"][:, index])


def test_an_edge_answers_nothing_that_the_device_has_answered(executor: BoundedExecutor) -> None:
    # Its exit stands for all of the model's outputs, but `a` is the device's.
    for confidence in (0.1, 0.9):
        t = np.array([[0, 2 * confidence, 1, 1], [0, 2 * confidence, 2, 2]], np.float32)
        edge = Pipeline([stage("edge")], [Y], executor, forward=failing(UnavailableError(""), at_once=True))
        assert answer(edge, t).outputs.keys() == {"y"}


def broken(outputs: Tensors, samples: int) -> Answer:
    return Answer(outputs, ("edge",) * samples, ("",) * samples)


@pytest.mark.parametrize(
    "wrong",
    [
        broken({}, 2),
        broken({"y": np.zeros((2, 9), np.float32)}, 2),
        broken({"y": np.zeros((3, 4), np.float32)}, 2),
        broken({"y": np.zeros((2, 4), np.float32)}, 1),
        broken({"y": np.zeros((2, 4), np.float32)}, 3),
        broken({"y": np.zeros((2, 4), np.float64)}, 2),
        broken({"y": np.zeros((2, 4), np.float32), "a": np.zeros((4, 2), np.float32)}, 2),
        Answer({"y": np.zeros((2, 4), np.float32)}, ("edge", ""), ("", "")),
        Answer({"y": np.zeros((2, 4), np.float32)}, ("edge", "edge"), ("",)),
    ],
    ids=[
        "no output",
        "another shape",
        "another batch",
        "fewer exits",
        "more exits",
        "another type",
        "one output more",
        "nobody's",
        "fewer fallbacks",
    ],
)
@pytest.mark.parametrize("all_open", [True, False])
def test_an_answer_that_fits_nothing_is_none(
    wrong: Answer,
    all_open: bool,  # noqa: FBT001
    executor: BoundedExecutor,
) -> None:
    x = MIXED[1:3] if all_open else MIXED

    def pending(*, exits: bool) -> "Future[Answer]":
        upstream: Future[Answer] = Future()
        stages = [stage("device", exits=exits)]
        future = Pipeline(stages, [Y, A], executor, forward=lambda *_, **__: upstream).submit(
            {"x": x if exits else MIXED[1:3]}, soon()
        )
        upstream.set_result(wrong)
        return future

    got = pending(exits=True).result(timeout=10)
    assert got.exits == ("device",) * len(x)
    assert got.fallbacks == (("INTERNAL",) * 2 if all_open else ("", "INTERNAL", "INTERNAL", ""))
    for name, array in at_device_exit(x).items():
        assert same(got.outputs[name], array)
    assert isinstance(pending(exits=False).exception(timeout=10), PeerProtocolError)


def test_a_deadline_that_has_passed_drops_the_request_before_it_computes(executor: BoundedExecutor) -> None:
    forward = recording(failing(UnavailableError(""), at_once=True))
    pipeline = Pipeline([stage("device")], [Y, A], executor, forward=forward)
    with pytest.raises(DeadlineExceededError, match="while the request waited"):
        answer(pipeline, MIXED, past())
    assert forward.sent == []


def overdue(pipeline: Pipeline) -> "Future[Answer]":
    """A request whose deadline passes once it has begun."""
    deadline = Deadline.after_ms(200)

    def load() -> Tensors:
        time.sleep(deadline.remaining_s())
        return {"x": MIXED}

    return pipeline.submit({"x": MIXED}, deadline, load=load, inline=True)


def test_what_is_computed_too_late_is_answered_by_the_exit_in_hand(executor: BoundedExecutor) -> None:
    forward = recording(failing(UnavailableError(""), at_once=True))
    got = overdue(Pipeline([stage("device")], [Y, A], executor, forward=forward)).result(timeout=30)
    assert got.exits == ("device",) * 4
    assert got.fallbacks == ("", "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "")
    assert same(got.outputs["y"], at_device_exit(MIXED)["y"])
    assert forward.sent == []


def test_late_and_without_an_exit_there_is_no_answer(executor: BoundedExecutor) -> None:
    forward = recording(failing(UnavailableError(""), at_once=True))
    late = overdue(Pipeline([stage("device", exits=False)], [Y, A], executor, forward=forward))
    with pytest.raises(DeadlineExceededError, match="no time is left"):
        late.result(timeout=30)
    assert forward.sent == []


def test_the_deadline_goes_up_as_it_came(tiers: Tiers, executor: BoundedExecutor) -> None:
    forward = recording(tiers.edge.submit)
    deadline = Deadline.after_ms(50_000)
    answer(Pipeline([stage("device")], [Y, A], executor, forward=forward), MIXED, deadline)
    assert forward.deadlines == [deadline]


def test_a_full_queue_refuses_at_once(executor: BoundedExecutor) -> None:
    pipeline = Pipeline([stage("device")], [Y, A], executor)
    opened = threading.Event()
    for _ in range(4):
        executor.submit(opened.wait, 30)
    with pytest.raises(OverloadedError, match=r"the queue is full \(4 requests\)"):
        pipeline.submit({"x": MIXED}, soon())
    opened.set()


def test_a_closed_executor_takes_nothing() -> None:
    executor = BoundedExecutor(workers=1, limit=1, name="t")
    executor.close()
    with pytest.raises(UnavailableError, match="shutting down"):
        Pipeline([stage("device")], [Y, A], executor).submit({"x": MIXED}, soon())


def test_a_batch_may_be_just_so_large(executor: BoundedExecutor) -> None:
    pipeline = Pipeline([stage("device")], [Y, A], executor, max_batch=3)
    assert len(answer(pipeline, MIXED[:3]).exits) == 3
    with pytest.raises(InvalidArgumentError, match="4 samples in one request; at most 3"):
        pipeline.submit({"x": MIXED}, soon())


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"t": MIXED},
        {"x": MIXED, "t": MIXED},
        {"x": MIXED[:, :3]},
        {"x": MIXED[:0]},
        {"x": MIXED.astype(np.float64)},
    ],
)
def test_tensors_that_the_first_stage_does_not_take_are_refused(
    tensors: Tensors, executor: BoundedExecutor
) -> None:
    with pytest.raises(InvalidArgumentError, match="tensor"):
        Pipeline([stage("device")], [Y, A], executor).submit(tensors, soon())


def test_a_segment_that_fails_fails_its_request_only(executor: BoundedExecutor) -> None:
    # A stage told of another tensor than its segment takes: what a mixed-up package would be.
    wrong = Pipeline([Stage("device", stage("device").segment, None, (T,), (), ())], [Y], executor)
    with pytest.raises(InvalidArgumentError, match="cannot compute on these values"):
        answer(wrong, MIXED)
    assert answer(Pipeline([stage("device")], [Y, A], executor), MIXED[:1]).exits == ("device",)
    assert wrong.incoming == (T,)
    assert X.name not in {spec.name for spec in wrong.incoming}


def test_requests_side_by_side_do_not_mix(tiers: Tiers) -> None:
    many = [np.full((1 + number % 3, 4), number / 16, np.float32) for number in range(16)]
    pending = [tiers.device.submit({"x": x}, soon()) for x in many]
    for x, future in zip(many, pending, strict=True):
        got = future.result(timeout=30)
        reference = at_device_exit(x) if x[0, 0] >= 0.5 else whole(x)
        assert same(got.outputs["y"], reference["y"])
