"""What a tier counts of its models, as ModelStatistics tells it."""

import grpc
import pytest

from splitnet.link import Statistics
from splitnet.protocol import (
    MODEL_STATISTICS,
    Duration,
    ModelMetadata,
    ModelName,
    ModelStatistics,
    encode_request,
)
from splitnet.telemetry import RequestEnd, SegmentRun
from tests.link.peers import TIMEOUT_S, Plane, ask, call, dialled, echo, raises, serving, unary


def test_requests_are_counted_by_model_and_version_and_runs_by_plan() -> None:
    statistics = Statistics()
    statistics.segment_run(SegmentRun("edge", "p", 1, 6, 2, (0.5, 0.25), 2.0))
    statistics.segment_run(SegmentRun("edge", "p", 1, 1, 1, (0.25,), 1.0))
    statistics.segment_run(SegmentRun("edge", "q", 2, 1, 1, (9.0,), 9.0))
    statistics.request_end(RequestEnd("a", "m.edge", "p", 1, "OK", 3.0, samples=4))
    statistics.request_end(RequestEnd("b", "m.edge", "p", 1, "OK", 1.0, samples=2))
    statistics.request_end(RequestEnd("c", "m.edge", "", 1, "DEADLINE_EXCEEDED", 0.5))
    statistics.request_end(RequestEnd("d", "m", "p", 1, "OK", 2.0, samples=1))
    for nobodys in (RequestEnd("e", "", "", 0, "NOT_FOUND", 1.0), RequestEnd("f", "m", "", 0, "UNAVAILABLE", 1.0)):
        statistics.request_end(nobodys)
    found = statistics.of("m.edge", "1")
    assert found.last_inference_ms > 1_600_000_000_000
    assert found == ModelStatistics(
        "m.edge",
        "1",
        found.last_inference_ms,
        inference_count=6,
        execution_count=2,
        success=Duration(2, 4_000_000_000),
        fail=Duration(1, 500_000_000),
        queue=Duration(3, 1_000_000_000),
        compute_infer=Duration(3, 5_000_000_000),
        batches={6: Duration(1, 2_000_000_000), 1: Duration(1, 1_000_000_000)},
    )
    assert statistics.of("m", "1").success == Duration(1, 2_000_000_000)
    assert statistics.of("m", "2") == ModelStatistics("m", "2")


def test_what_is_kept_is_bounded() -> None:
    statistics = Statistics()
    for version in range(1, 1001):
        statistics.request_end(RequestEnd("a", "m", "p", version, "OK", 1.0, samples=1))
        statistics.segment_run(SegmentRun("s", "p", version, 1, 1, (0.0,), 1.0))
    assert statistics.of("m", "1").inference_count == 0
    assert statistics.of("m", "1000").inference_count == 1
    assert len(statistics._requests) == len(statistics._runs) <= 256


class Described(Plane):
    """A plane whose model can be asked about."""

    def model_metadata(self, name: str, version: str) -> ModelMetadata:
        if name != "m":
            return super().model_metadata(name, version)
        return ModelMetadata("m", ("1", "2"), "onnxruntime_onnx", (), ())


def test_a_server_counts_what_it_is_asked() -> None:
    statistics = Statistics()
    with (
        serving(Described(echo), events=statistics, statistics=statistics) as server,
        dialled(server.address) as channel,
    ):
        for _ in range(3):
            call(channel, encode_request(ask()))

        def counts(name: str, version: str) -> list[tuple[str, int]]:
            message = MODEL_STATISTICS.encode_request(ModelName(name, version))
            reply: bytes = unary(channel, MODEL_STATISTICS.path)(message, timeout=TIMEOUT_S)
            return [(each.version, each.success.count) for each in MODEL_STATISTICS.decode_response(reply)]

        assert counts("m", "1") == [("1", 3)]
        assert counts("m", "") == [("1", 3), ("2", 0)]
        assert counts("", "") == [("1", 3)]  # of those that the repository says are ready
        with pytest.raises(grpc.RpcError) as caught:
            counts("q", "")
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_failure_counts_for_the_version_that_would_have_answered() -> None:
    statistics = Statistics()
    plane = Described(raises(ValueError("a fault of ours")))
    with (
        serving(plane, events=statistics, statistics=statistics) as server,
        dialled(server.address) as channel,
        pytest.raises(grpc.RpcError),
    ):
        call(channel, encode_request(ask()))
    assert statistics.of("m", "2").fail.count == 1


def test_without_statistics_the_call_is_not_there() -> None:
    with serving(Plane(echo)) as server, dialled(server.address) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            unary(channel, MODEL_STATISTICS.path)(b"", timeout=TIMEOUT_S)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
