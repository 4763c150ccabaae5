"""The Open Inference Protocol, health and reflection, as any client meets them at the edge and at the cloud."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import splitnet
from splitnet.protocol import (
    MODEL_METADATA,
    MODEL_READY,
    SERVER_LIVE,
    SERVER_METADATA,
    SERVER_READY,
    SERVICE_NAME,
    Empty,
    InferRequest,
    Method,
    ModelMetadata,
    ModelName,
    ServerMetadata,
    TensorMetadata,
    encode_request,
)
from splitnet.tensors import Array
from tests.link.peers import Conversation, call, dialled, unary
from tests.programs.classifier import NAME, WholeModel
from tests.programs.conftest import Packages, Samples, Service
from tests.programs.processes import ROOT, TIMEOUT_S, Program, running

TIERS = pytest.mark.parametrize("tier", ["edge", "cloud"])


@pytest.fixture
def channel(service: Service, tier: str) -> Iterator[grpc.Channel]:
    with dialled(getattr(service, tier).address) as channel:
        yield channel


def answer_of(channel: grpc.Channel, method: Method[Any, Any], request: Any) -> Any:
    reply: bytes = unary(channel, method.path)(method.encode_request(request), timeout=TIMEOUT_S)
    return method.decode_response(reply)


@TIERS
def test_it_lives_and_is_ready(channel: grpc.Channel) -> None:
    assert answer_of(channel, SERVER_LIVE, Empty()) is True
    assert answer_of(channel, SERVER_READY, Empty()) is True
    assert answer_of(channel, SERVER_METADATA, Empty()) == ServerMetadata(
        "splitnet", splitnet.__version__, ("model_stream_infer", "model_repository", "splitnet_coding")
    )


@TIERS
def test_models_are_ready_by_name_and_version(channel: grpc.Channel, tier: str) -> None:
    for name, version, ready in [
        (NAME, "", True),
        (NAME, "1", True),
        (f"{NAME}.{tier}", "1", True),
        (NAME, "2", False),
        (f"{NAME}.device", "", False),
        ("", "", False),
    ]:
        assert answer_of(channel, MODEL_READY, ModelName(name, version)) is ready, (name, version)


@pytest.mark.parametrize(
    ("tier", "name", "takes"),
    [
        ("edge", NAME, ("x", (-1, 12))),
        ("edge", f"{NAME}.edge", ("low", (-1, 48))),
        ("cloud", NAME, ("x", (-1, 12))),
        ("cloud", f"{NAME}.cloud", ("mid", (-1, 48))),
    ],
)
def test_metadata_tell_what_a_model_takes(channel: grpc.Channel, name: str, takes: tuple[str, Any]) -> None:
    assert answer_of(channel, MODEL_METADATA, ModelName(name)) == ModelMetadata(
        name,
        ("1",),
        "onnxruntime_onnx",
        (TensorMetadata(takes[0], "FP32", takes[1]),),
        (TensorMetadata("y", "FP32", (-1, 4)),),
    )


@TIERS
def test_metadata_of_another_model_are_not_found(channel: grpc.Channel, tier: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        answer_of(channel, MODEL_METADATA, ModelName("other"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == f"model 'other' is not served here; there are ['{NAME}', '{NAME}.{tier}']"


@TIERS
def test_the_whole_model_answers_whole_inputs(
    channel: grpc.Channel, tier: str, packages: Packages, samples: Samples, whole: WholeModel
) -> None:
    values, edge_exit = whole.run(samples.x), packages.manifest.exits[1]
    sure = (
        values[edge_exit.confidence] >= np.float32(edge_exit.threshold) if tier == "edge" else np.zeros(200, bool)
    )
    answers = np.where(sure[:, np.newaxis], values["mid_y"], values["y"])
    request = encode_request(InferRequest(NAME, {"x": samples.x}, id="whole", requested_outputs=("y",)))
    talk = Conversation(channel)
    talk.send(request)
    streamed = talk.receive()
    talk.end()
    assert not streamed.error_message
    for response in (call(channel, request), streamed.response):
        assert (response.model_name, response.model_version, response.id) == (NAME, "1", "whole")
        np.testing.assert_allclose(response.tensors["y"], answers, rtol=1e-5, atol=1e-6)
        exits = str(response.parameters["splitnet_exit"]).split(",")
        assert exits == (["edge" if is_sure else "cloud" for is_sure in sure] if tier == "edge" else ["cloud"])
        assert response.parameters["splitnet_plan"] == packages.manifest.plan.id
        assert response.parameters.keys() >= {f"splitnet_{name}_ms" for name in ("device", "cloud")}


def triton(program: Program, model: str, x: Array) -> dict[str, Any]:
    script = Path(__file__).with_name("triton_client.py")
    done = subprocess.run(
        [sys.executable, str(script), program.target, model, json.dumps(x.tolist())],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=3 * TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


@TIERS
def test_tritons_client_gets_full_answers(
    service: Service, tier: str, samples: Samples, whole: WholeModel
) -> None:
    x = samples.at("cloud", 3)
    seen = triton(getattr(service, tier), NAME, x)
    assert (seen["live"], seen["ready"], seen["models"]) == (True, True, [True, True, False, False])
    assert seen["server"]["name"] == "splitnet"
    assert seen["metadata"]["inputs"] == [{"name": "x", "datatype": "FP32", "shape": ["-1", "12"]}]
    for answer, request_id in [(seen["infer"], "a"), (seen["async"], "b")]:
        assert (answer["id"], answer["version"], answer["exit"]) == (request_id, "1", "cloud")
        np.testing.assert_allclose(answer["y"], whole.run(x)["y"], rtol=1e-5, atol=1e-6)
    streamed = {answer["id"]: answer["y"] for answer in seen["stream"] if "error" not in answer}
    assert sorted(streamed) == ["c", "d"]
    for y in streamed.values():
        np.testing.assert_allclose(y, whole.run(x)["y"], rtol=1e-5, atol=1e-6)
    (refusal,) = [answer["error"] for answer in seen["stream"] if "error" in answer]
    assert "[INVALID_ARGUMENT] tensor 'x': expected shape ['batch', 12], got [1, 3]" in refusal


def test_every_tier_of_an_unsplit_package_serves_the_whole(
    packages: Packages, samples: Samples, whole: WholeModel
) -> None:
    expected = whole.run(samples.x)["y"]
    with running("cloud", package=packages.all_cloud) as cloud:
        places = [
            ("edge", packages.all_device, None, "device"),
            ("edge", packages.all_cloud, cloud.address, "cloud"),
        ]
        for tier, package, upstream, exit_tier in places:
            with running(tier, package=package, upstream=upstream) as program, dialled(program.address) as channel:
                response = call(channel, encode_request(InferRequest(NAME, {"x": samples.x})))
                np.testing.assert_allclose(response.tensors["y"], expected, rtol=1e-5, atol=1e-6)
                assert response.parameters["splitnet_exit"] == exit_tier


@TIERS
def test_health_is_serving_for_all_and_for_the_service(channel: grpc.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    for name in ("", SERVICE_NAME):
        request = health_pb2.HealthCheckRequest(service=name)
        assert health.Check(request, timeout=TIMEOUT_S).status == health_pb2.HealthCheckResponse.SERVING
        watch = health.Watch(request, timeout=TIMEOUT_S)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()
    with pytest.raises(grpc.RpcError) as caught:
        health.Check(health_pb2.HealthCheckRequest(service="other"), timeout=TIMEOUT_S)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@TIERS
def test_reflection_lists_the_services(channel: grpc.Channel) -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    (answer,) = stub.ServerReflectionInfo(iter([request]), timeout=TIMEOUT_S)
    assert {service.name for service in answer.list_services_response.service} == {
        "inference.GRPCInferenceService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
