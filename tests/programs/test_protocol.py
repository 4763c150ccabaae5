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
    metadata: ServerMetadata = answer_of(channel, SERVER_METADATA, Empty())
    assert (metadata.name, metadata.version) == ("splitnet", splitnet.__version__)
    assert set(metadata.extensions) == {
        "model_stream_infer",
        "model_repository",
        "model_configuration",
        "statistics",
        "schedule_policy",
        "splitnet_coding",
        "splitnet_cancel",
        "splitnet_probe",
    }


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
        assert "splitnet_plan" not in response.parameters
        assert 0 < float(response.parameters[f"splitnet_{tier}_total_ms"]) < TIMEOUT_S * 1e3
    computed = streamed.response.parameters  # the other one, of the edge, is this one kept
    assert computed.keys() >= {f"splitnet_{name}_ms" for name in ("device", "cloud")}


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


#: What Triton's client is told of calls that a tier has nothing to do for, by the status and a part of the text.
TOLD = {
    "load": ("INVALID_ARGUMENT", "runs here with other contents"),  # what lies beside it in its folder
    "load with config": ("INVALID_ARGUMENT", "come from the repository alone"),
    "load none": ("NOT_FOUND", "cannot be loaded"),
    "unload": ("INVALID_ARGUMENT", "the only one that is loaded"),
    "system status of one": ("NOT_FOUND", "shared memory is not supported"),
    "system register": ("UNIMPLEMENTED", "send the values in the message"),
    "cuda status of one": ("NOT_FOUND", "shared memory is not supported"),
    "cuda register": ("UNIMPLEMENTED", "send the values in the message"),
    "trace": ("UNIMPLEMENTED", "traces are not set over this protocol"),
    "trace update": ("UNIMPLEMENTED", "traces are not set over this protocol"),
    "log": ("UNIMPLEMENTED", "logs are not set over this protocol"),
    "log update": ("UNIMPLEMENTED", "logs are not set over this protocol"),
}
REFUSED = {
    "no time": ("DEADLINE_EXCEEDED", "deadline"),
    "sequence": ("INVALID_ARGUMENT", "sequences are not supported"),
    "sequence text": ("INVALID_ARGUMENT", "sequences are not supported"),
    "input in shared memory": ("INVALID_ARGUMENT", "tensor 'x': shared memory is not supported"),
    "output in shared memory": ("INVALID_ARGUMENT", "output 'y': shared_memory_region is not supported"),
    "classes": ("INVALID_ARGUMENT", "output 'y': classification is not supported"),
    "no model": ("NOT_FOUND", "model 'none' is not served here"),
}


@TIERS
def test_every_call_of_tritons_client(service: Service, tier: str, samples: Samples, whole: WholeModel) -> None:
    x = samples.at("cloud", 3)
    expected = whole.run(x)["y"]
    seen = triton(getattr(service, tier), NAME, x)
    assert seen["missing"] == []
    _check_what_is_told_of_models(seen, tier)
    for name in ("plain", "version", "gzip", "deflate", "priority", "headers"):
        answer = seen[name]
        assert (answer["id"], answer["version"], answer["exit"]) == (name, "1", "cloud")
        np.testing.assert_allclose(answer["y"], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(seen["typed"], expected, rtol=1e-5, atol=1e-6)
    for said, told in ((seen["refused"], REFUSED), (seen["changed"], TOLD)):
        for name, (status, text) in told.items():
            assert (said[name] or {}).get("status") == status, (name, said[name])
            assert text in said[name]["text"], name
    assert {name: said for name, said in seen["changed"].items() if name not in TOLD} == {
        "system status": {},
        "system unregister": None,
        "cuda status": {},
        "cuda unregister": None,
    }
    _check_streams(seen, expected)
    _check_statistics(seen, tier)


def _check_what_is_told_of_models(seen: dict[str, Any], tier: str) -> None:
    assert (seen["live"], seen["ready"], seen["models"]) == (True, True, [True, True, False, False])
    assert seen["server"]["name"] == "splitnet"
    assert seen["metadata"]["inputs"] == [{"name": "x", "datatype": "FP32", "shape": ["-1", "12"]}]
    assert seen["config"] == {
        "name": NAME,
        "platform": "onnxruntime_onnx",
        "backend": "onnxruntime",
        "version_policy": {"latest": {"num_versions": 2}},
        "max_batch_size": 1024,
        "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": ["12"]}],
        "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": ["4"]}],
        "dynamic_batching": {},
    }
    assert seen["no config"]["status"] == "NOT_FOUND"
    assert {"name": f"{NAME}.{tier}", "version": "1", "state": "READY"} in seen["index"]


def _check_streams(seen: dict[str, Any], expected: Array) -> None:
    assert (seen["async"]["id"], seen["async"]["exit"]) == ("b", "cloud")
    assert "Locally cancelled" in seen["cancelled"].get("error", "Locally cancelled")  # or answered before that
    streamed = {answer["id"]: answer["y"] for answer in (*seen["stream"], seen["last"]) if "error" not in answer}
    assert sorted(streamed) == ["c", "d", "e"]
    for y in (*streamed.values(), seen["async"]["y"]):
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    (refusal,) = [answer["error"] for answer in seen["stream"] if "error" in answer]
    assert "[INVALID_ARGUMENT] tensor 'x': expected shape ['batch', 12], got [1, 3]" in refusal
    assert "triton_final_response" in seen["last"]["parameters"]
    assert "triton_final_response" not in seen["async"]["parameters"]
    assert "[INVALID_ARGUMENT] parameter 'sequence_id'" in seen["sequence"]["error"]


def _check_statistics(seen: dict[str, Any], tier: str) -> None:
    ((of_one,), of_all) = seen["statistics"]
    assert (of_one["name"], of_one["version"]) == (NAME, "1")
    counts, stats = of_one, of_one["inference_stats"]
    assert int(counts["inference_count"]) >= 3 * 12  # three samples in each of the answers above
    assert int(counts["execution_count"]) >= 1
    assert int(stats["success"]["count"]) >= 12
    assert int(stats["fail"]["count"]) >= 2
    assert all(int(stats[name]["ns"]) > 0 for name in ("success", "queue", "compute_infer"))
    assert any(int(each["batch_size"]) >= 3 for each in counts["batch_stats"])
    assert {each["name"] for each in of_all} == {NAME, f"{NAME}.{tier}"}
    assert seen["no statistics"]["status"] == "NOT_FOUND"


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
