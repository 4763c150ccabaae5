"""Wrong and hostile peers: a request gets a status that says what was expected, an answer the exit in hand."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitnet.config import CloudConfig, LinkConfig, format_address
from splitnet.deadline import Deadline
from splitnet.link import Upstreams
from splitnet.protocol import (
    MODEL_INFER,
    InferRequest,
    InferResponse,
    Parameter,
    StreamResponse,
    decode_request,
    encode_request,
    encode_stream_response,
)
from splitnet.protocol import open_inference_pb2 as pb
from splitnet.runtime import BoundedExecutor, Pipeline
from splitnet.tier import ServedModel, ServedVersion, TierDataPlane, Versions
from splitnet.tier.forward import Upstream
from splitnet_device import Session
from tests.link.peers import Conversation, call, called, dialled, foreign, told, unary
from tests.programs.classifier import NAME, WholeModel
from tests.programs.conftest import Packages, Samples, Service
from tests.programs.processes import ROOT, TIMEOUT_S, running
from tests.runtime.segments import A, Y, stage

X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(1, 12)
#: What a request of somebody else may end with.
FAIR = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}


def good(**changes: Any) -> bytes:
    fields: dict[str, Any] = {"model_name": NAME, "tensors": {"x": X}, "model_version": "1"}
    return encode_request(InferRequest(**(fields | changes)))


def proto(*tensors: tuple[str, str, list[int], int], **fields: Any) -> bytes:
    """A request with inputs as described: name, datatype, shape, and so many raw bytes."""
    request = pb.ModelInferRequest(model_name=NAME, **fields)
    for name, datatype, shape, size_bytes in tensors:
        request.inputs.add(name=name, datatype=datatype, shape=shape)
        request.raw_input_contents.append(bytes(size_bytes))
    return request.SerializeToString()


def typed(values: list[float], *, raw_bytes: int = 0) -> bytes:
    """A request whose values are in a typed list, and perhaps raw as well."""
    request = pb.ModelInferRequest(model_name=NAME)
    request.inputs.add(name="x", datatype="FP32", shape=[1, 12]).contents.fp32_contents.extend(values)
    if raw_bytes:
        request.raw_input_contents.append(bytes(raw_bytes))
    return request.SerializeToString()


ONE = ("x", "FP32", [1, 12], 48)
WRONG = {
    "element type": (good(tensors={"x": X.astype("float64")}), "tensor 'x': expected float32, got float64"),
    "shape": (good(tensors={"x": X[:, :11]}), "tensor 'x': expected shape ['batch', 12], got [1, 11]"),
    "axes": (good(tensors={"x": X[0]}), "tensor 'x': expected shape ['batch', 12], got [12]"),
    "too few bytes": (proto(("x", "FP32", [1, 12], 44)), "expected 48 bytes for FP32 [1, 12], got 44"),
    "too many bytes": (proto(("x", "FP32", [1, 12], 52)), "expected 48 bytes for FP32 [1, 12], got 52"),
    "negative size": (proto(("x", "FP32", [-1, 12], 48)), "negative size in shape [-1, 12]"),
    "huge size": (proto(("x", "FP32", [2**62, 12], 48)), "exceeds"),
    "too many axes": (proto(("x", "FP32", [1] * 40, 4)), "expected at most 32 axes, got 40"),
    "no input": (good(tensors={}), "missing tensors ['x']; expected ['x']"),
    "another input": (good(tensors={"z": X}), "missing tensors ['x']; expected ['x']"),
    "one input more": (good(tensors={"x": X, "z": X}), "unknown tensors ['z']; expected ['x']"),
    "an input twice": (proto(ONE, ONE), "tensor 'x' is there twice"),
    "empty batch": (good(tensors={"x": X[:0]}), "the batch is empty"),
    "too many samples": (
        good(tensors={"x": np.zeros((1025, 12), np.float32)}),
        "1025 samples in one request; at most",
    ),
    "unknown element type": (proto(("x", "FP33", [1, 12], 48)), "datatype 'FP33' is not supported"),
    "strings": (proto(("x", "BYTES", [1, 12], 48)), "a string has no fixed size"),
    "a list too short": (typed([0.0] * 11), "expected 12 values"),
    "list and raw": (typed([0.0] * 12, raw_bytes=48), "values both raw and in `contents`"),
    "unknown output": (good(requested_outputs=("z",)), "has no output 'z'; there are ['y']"),
    "a parameter without value": (proto(ONE, parameters={"p": pb.InferParameter()}), "parameter 'p' has no value"),
    "shared memory": (
        pb.ModelInferRequest(
            model_name=NAME,
            inputs=[
                pb.ModelInferRequest.InferInputTensor(
                    name="x",
                    datatype="FP32",
                    shape=[1, 12],
                    parameters={"shared_memory_region": pb.InferParameter(string_param="r")},
                )
            ],
        ).SerializeToString(),
        "shared memory is not supported",
    ),
    "garbage": (b"\xff\xfe\xfd not a message", ""),
    "a message cut off": (good()[:-3], ""),
}
UNKNOWN = {
    "model": (good(model_name="other"), f"model 'other' is not served here; there are ['{NAME}', '{NAME}.edge']"),
    "no model": (good(model_name=""), "model '' is not served here"),
    "version": (good(model_version="2"), "has no version '2' here; there is '1'"),
    "plan": (good(parameters={"splitnet_plan": "ffffffffffff"}), "deploy the same package on every tier"),
    "plan of a wrong type": (good(parameters={"splitnet_plan": 7}), "deploy the same package on every tier"),
    "a long name": (good(model_name="n" * 100_000), "(100000 characters)"),
    "a long version": (good(model_version="\N{PILE OF POO}" * 50_000), "(50000 characters)"),
}
LATE = {"no time left": (good(parameters={"splitnet_deadline_ms": 0}), "deadline")}
CASES = [
    pytest.param(status, *case, id=f"{status.lower()}: {name}")
    for status, cases in (("INVALID_ARGUMENT", WRONG), ("NOT_FOUND", UNKNOWN), ("DEADLINE_EXCEEDED", LATE))
    for name, case in cases.items()
]


@pytest.fixture(scope="module")
def channel(service: Service) -> Iterator[grpc.Channel]:
    with dialled(service.edge.address) as channel:
        yield channel


@pytest.fixture(scope="module")
def talk(channel: grpc.Channel) -> Iterator[Conversation]:
    """One stream for every test of this module: nothing that is sent may end it."""
    talk = Conversation(channel, timeout_s=600)
    yield talk
    talk.end()


WAYS: list[Any] = [pytest.param("call", id="call"), pytest.param("stream", id="stream")]


@pytest.fixture(params=WAYS, scope="module")
def ask(
    request: pytest.FixtureRequest, channel: grpc.Channel, talk: Conversation
) -> Callable[[bytes], tuple[str, str]]:
    """Send a message to the edge; return the status and the text that come back."""
    return (lambda m: called(channel, m)) if request.param == "call" else (lambda m: told(talk, m))


def check_public(text: str) -> None:
    for inside in ("Traceback", "File ", ".py", str(ROOT), "site-packages", "onnx", "Error("):
        assert inside not in text, text
    assert len(text) < 600


@pytest.mark.parametrize(("status", "message", "says"), CASES)
def test_a_wrong_request_is_told_what_was_expected(
    ask: Callable[[bytes], tuple[str, str]], status: str, message: bytes, says: str
) -> None:
    found, text = ask(message)
    assert found == status
    assert says in text
    check_public(text)
    assert ask(good()) == ("OK", "")


def test_a_method_that_is_not_there(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        unary(channel, "/inference.GRPCInferenceService/ModelTrain")(b"", timeout=TIMEOUT_S)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_numbers_that_are_none_are_carried(service: Service, packages: Packages, whole: WholeModel) -> None:
    odd = np.repeat(X, 4, axis=0)
    odd[0, 0], odd[1, 3], odd[2, 5] = np.nan, np.inf, -np.inf
    expected = whole.run(odd)
    with dialled(service.cloud.address) as channel:
        response = call(channel, good(tensors={"x": odd}))
    np.testing.assert_allclose(response.tensors["y"], expected["y"], rtol=1e-5, atol=1e-6)
    assert np.isnan(response.tensors["y"][0]).all()
    with Session(packages.split, upstream=service.edge.target, deadline_ms=TIMEOUT_S * 1e3) as session:
        answer = session.infer(odd)
    unsure = np.isnan(expected["low_confidence"]) & np.isnan(expected["mid_confidence"])
    assert unsure[0]
    assert [answer.exits[index] for index in np.flatnonzero(unsure)] == ["cloud"] * unsure.sum()
    np.testing.assert_allclose(answer.outputs["y"][unsure], expected["y"][unsure], rtol=1e-5, atol=1e-6)
    assert not answer.fallback


def test_a_message_over_the_limit_is_refused(packages: Packages, tmp_path: Path) -> None:
    (tmp_path / "cloud.toml").write_text("max_message_bytes = 8192")
    with (
        running("cloud", package=packages.split, options=["--config", str(tmp_path / "cloud.toml")]) as cloud,
        dialled(cloud.address) as channel,
    ):
        large = good(tensors={"x": np.zeros((200, 12), np.float32)})
        status, text = called(channel, large)
        assert status == "RESOURCE_EXHAUSTED"
        assert "8192" in text
        talk = Conversation(channel)
        talk.send(large)
        with pytest.raises(grpc.RpcError, match="8192") as caught:
            talk.receive()
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert called(channel, good()) == ("OK", "")


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good request with some of its bytes replaced, cut out, doubled or added."""
    message = bytearray(good(id="id", parameters={"splitnet_deadline_ms": 20_000, "text": "t"}))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(message)))
        stop = min(len(message), start + draw(st.integers(0, 8)))
        message[start:stop] = draw(st.binary(max_size=8) | st.just(bytes(message[start:stop]) * 2))
    return bytes(message)


#: That a server looks at, and one that it does not; `splitnet_cancel` is not among them, since nothing answers it.
PARAMETERS = (
    "splitnet_plan",
    "splitnet_deadline_ms",
    "priority",
    "timeout",
    "sequence_id",
    "triton_enable_empty_final_response",
    "other",
)


@st.composite
def composed(draw: st.DrawFn) -> bytes:
    """A well-formed message that says anything."""
    names = st.sampled_from(["x", "low", "y", ""]) | st.text(max_size=5)
    request = pb.ModelInferRequest(
        model_name=draw(st.sampled_from([NAME, f"{NAME}.edge"]) | names),
        model_version=draw(st.sampled_from(["", "1", "2", "\x00"])),
        id=draw(st.text(max_size=5)),
    )
    datatypes = st.sampled_from(["FP32", "FP64", "FP16", "INT64", "BOOL", "BYTES", "BF16", ""])
    sizes = st.sampled_from([0, 1, 2, 12, 48, -1, 2**31, 2**62])
    for _ in range(draw(st.integers(0, 3))):
        request.inputs.add(name=draw(names), datatype=draw(datatypes), shape=draw(st.lists(sizes, max_size=3)))
        request.raw_input_contents.append(bytes(draw(st.sampled_from([0, 4, 48, 96, 192]))))
    for name in draw(st.lists(names, max_size=2)):
        request.outputs.add(name=name)
    for key in draw(st.lists(st.sampled_from(PARAMETERS), max_size=3)):
        parameter = request.parameters[key]
        kind = draw(st.sampled_from(["bool_param", "int64_param", "string_param", "double_param", "uint64_param"]))
        values: dict[str, st.SearchStrategy[Any]] = {
            "bool_param": st.booleans(),
            "int64_param": st.integers(-(2**63), 2**63 - 1),
            "string_param": st.text(max_size=5),
            "double_param": st.floats(),
            "uint64_param": st.integers(0, 2**64 - 1),
        }
        setattr(parameter, kind, draw(values[kind]))
    return request.SerializeToString()


@given(message=mutated() | composed())
@settings(max_examples=80)
def test_no_request_breaks_the_server(ask: Callable[[bytes], tuple[str, str]], message: bytes) -> None:
    status, text = ask(message)
    assert status in FAIR
    check_public(text)
    assert ask(good()) == ("OK", "")


def tells(**parameters: Parameter) -> Callable[[Iterator[bytes]], Iterator[bytes]]:
    """An edge that answers whatever it is asked, with `parameters`."""

    def talk(messages: Iterator[bytes]) -> Iterator[bytes]:
        for message in messages:
            request = decode_request(message)
            outputs = {"y": np.zeros((len(request.tensors["low"]), 4), np.float32)}
            response = InferResponse(request.model_name, outputs, "1", request.id, parameters)
            yield encode_stream_response(StreamResponse(response))

    return talk


@pytest.mark.parametrize(
    "exits", ["mars", "", "device", 7, True, "edge,edge", ",,", "edge,mars,cloud", "edge,,cloud"]
)
def test_an_answer_of_nobody_is_none(packages: Packages, samples: Samples, exits: Parameter) -> None:
    with (
        foreign(tells(splitnet_exit=exits)) as address,
        Session(packages.split, upstream=format_address(address), deadline_ms=TIMEOUT_S * 1e3) as session,
    ):
        answer = session.infer(samples.at("cloud", 3))
    assert (answer.exits, answer.fallbacks) == (("device",) * 3, ("INTERNAL",) * 3)
    assert answer.outputs["y"].any()


@pytest.mark.parametrize("reasons", ["BROKEN", "OK", 7, "UNAVAILABLE,", "UNAVAILABLE,,no"])
def test_a_fallback_for_no_reason_is_none(packages: Packages, samples: Samples, reasons: Parameter) -> None:
    with (
        foreign(tells(splitnet_exit="edge", splitnet_fallback=reasons)) as address,
        Session(packages.split, upstream=format_address(address), deadline_ms=TIMEOUT_S * 1e3) as session,
    ):
        answer = session.infer(samples.at("cloud", 3))
    assert (answer.exits, answer.fallbacks) == (("device",) * 3, ("INTERNAL",) * 3)


def test_what_a_peer_may_tell_is_believed(packages: Packages, samples: Samples) -> None:
    with (
        foreign(tells(splitnet_exit="edge,cloud,edge", splitnet_fallback="UNAVAILABLE,,INTERNAL")) as address,
        Session(packages.split, upstream=format_address(address), deadline_ms=TIMEOUT_S * 1e3) as session,
    ):
        answer = session.infer(samples.at("cloud", 3))
    assert answer.exits == ("edge", "cloud", "edge")
    assert answer.fallbacks == ("UNAVAILABLE", "", "INTERNAL")


def test_a_fault_on_the_way_back_ends_the_request(packages: Packages) -> None:
    class Faulty(Upstreams):
        def infer(self, request: InferRequest, deadline: Deadline) -> "Future[InferResponse]":  # noqa: ARG002
            failed: Future[InferResponse] = Future()
            failed.set_exception(KeyError("bug"))
            return failed

    with closing(Faulty([("127.0.0.1", 9)], max_message_bytes=8192, window=1, settings=LinkConfig())) as link:
        wire = packages.manifest.plan.wire_from("device")
        assert wire is not None
        tensors = {spec.name: np.zeros((1, *map(int, spec.shape[1:])), spec.dtype) for spec in wire.specs}
        future = Upstream(link, packages.manifest, "device")(tensors, Deadline.after_ms(1e4))
        assert isinstance(future.exception(TIMEOUT_S), KeyError)


def test_an_answer_that_lacks_an_output_ends_the_request(packages: Packages) -> None:
    executor = BoundedExecutor(workers=1, limit=1, name="test")
    pipeline = Pipeline([stage("cloud")], [Y], executor)
    config = CloudConfig.model_validate({"package": packages.split, "listen": "127.0.0.1:0"})
    versions = Versions(ServedVersion(packages.manifest, {"m": ServedModel(pipeline, (Y, A))}))
    plane = TierDataPlane(versions, config=config, tier="cloud")
    request = InferRequest("m", {"u": np.zeros((1, 4), np.float32)})
    assert isinstance(plane.infer(request, Deadline.after_ms(1e4)).exception(TIMEOUT_S), KeyError)
    executor.close()


def test_a_segment_that_hangs_does_not_outlast_the_grace(packages: Packages, tmp_path: Path) -> None:
    (tmp_path / "cloud.toml").write_text("grace_s = 0.3\ndeadline_ms = 600000.0\nworkers = 1\nmax_batch = 65536")
    # At this share of the speed a batch of 65,536 takes more than 10 s.
    options = ["--emulated-speed", "0.001", "--config", str(tmp_path / "cloud.toml")]
    with running("cloud", package=packages.split, options=options) as cloud, dialled(cloud.address) as channel:
        message = good(tensors={"x": np.zeros((65536, 12), np.float32)})
        talk = Conversation(channel)
        talk.send(message)
        reply = unary(channel, MODEL_INFER.path).future(message, timeout=TIMEOUT_S)
        assert talk.takes(1, within_s=TIMEOUT_S)
        talk.send(b"")  # answered at once: what was sent before it has been taken
        assert talk.receive().error_message
        cloud.process.terminate()
        assert cloud.ended(within_s=10.0) == 0
        assert "requests are not over" in cloud.logged()
        assert reply.code() is not grpc.StatusCode.OK
