"""Tiers with different packages never mix them: the device answers, and the message says what to do."""

import json
import logging
import shutil
from pathlib import Path

import grpc
import pytest

from splitnet.protocol import InferRequest, Parameter, encode_request
from splitnet_device import Session
from tests.link.peers import call, dialled
from tests.programs.classifier import NAME
from tests.programs.conftest import Packages, Samples, Service
from tests.programs.processes import TIMEOUT_S, eventually, running

LONG_MS = TIMEOUT_S * 1e3


@pytest.fixture
def next_version(packages: Packages, tmp_path: Path) -> Path:
    path = tmp_path / "next.split"
    shutil.copytree(packages.split, path)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["model"]["version"] = 2
    (path / "manifest.json").write_text(json.dumps(manifest))
    return path


def refused(
    service: Service, samples: Samples, parameters: dict[str, Parameter], version: str = "1"
) -> tuple[str, str]:
    request = InferRequest(f"{NAME}.edge", {"low": samples.x[:1]}, version, parameters=parameters)
    with dialled(service.edge.address) as channel, pytest.raises(grpc.RpcError) as caught:
        call(channel, encode_request(request))
    return caught.value.code().name, caught.value.details() or ""


def test_another_plan_is_not_found(
    service: Service, packages: Packages, samples: Samples, caplog: pytest.LogCaptureFixture
) -> None:
    status, text = refused(service, samples, {"splitnet_plan": "0123456789ab"})
    assert status == "NOT_FOUND"
    assert f"runs plan '{packages.manifest.plan.id}' here, not '0123456789ab'" in text
    assert "deploy the same package on every tier" in text
    with (
        caplog.at_level(logging.WARNING),
        Session(packages.u8, upstream=service.edge.target, deadline_ms=LONG_MS) as session,
    ):
        for _ in range(2):
            answer = session.infer(samples.at("cloud", 3))
            assert (answer.exits, answer.fallbacks) == (("device",) * 3, ("NOT_FOUND",) * 3)
        eventually(lambda: session.connected)
    assert caplog.text.count("deploy the same package on every tier") == 1


def test_another_version_is_not_found(
    service: Service, next_version: Path, samples: Samples, caplog: pytest.LogCaptureFixture
) -> None:
    assert refused(service, samples, {}, version="2") == (
        "NOT_FOUND",
        f"model '{NAME}.edge' has no version '2' here; there is '1'",
    )
    with (
        caplog.at_level(logging.WARNING),
        Session(next_version, upstream=service.edge.target, deadline_ms=LONG_MS) as session,
    ):
        answer = session.infer(samples.at("cloud"))
    assert (answer.exits, answer.fallbacks) == (("device",), ("NOT_FOUND",))
    assert "has no version '2' here; there is '1'" in caplog.text


def test_an_edge_of_another_version_than_its_cloud_answers_by_itself(
    service: Service, next_version: Path, samples: Samples
) -> None:
    with (
        running("edge", package=next_version, upstream=service.cloud.address) as edge,
        Session(next_version, upstream=edge.target, deadline_ms=LONG_MS) as session,
    ):
        answer = session.infer(samples.at("cloud"))
        assert (answer.exits, answer.fallbacks) == (("edge",), ("NOT_FOUND",))
        assert "has no version '2' here" in edge.logged()
