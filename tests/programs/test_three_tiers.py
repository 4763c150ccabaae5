"""Three programs, one service: what the device prints and writes is what the whole model answers."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from splitnet.package import TIERS, read_manifest
from tests.programs.classifier import WholeModel
from tests.programs.conftest import Packages, Samples
from tests.programs.processes import Program, run, running


@pytest.fixture(scope="module")
def edge(packages: Packages) -> Iterator[Program]:
    with (
        running("cloud", package=packages.split) as cloud,
        running("edge", package=packages.split, upstream=cloud.address) as edge,
    ):
        yield edge


@pytest.fixture(scope="module")
def data(samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "samples.npz"
    np.savez(path, x=samples.x, labels=samples.labels)
    return path


def test_the_device_reports_and_writes_what_the_whole_model_answers(
    edge: Program, packages: Packages, samples: Samples, data: Path, tmp_path: Path
) -> None:
    output = tmp_path / "answers.npz"
    done = run(
        "device",
        *("--package", str(packages.split), "--upstream", edge.target, "--deadline-ms", "20000"),
        *("--input", str(data), "--output", str(output), "--json"),
    )
    assert (done.code, done.err) == (0, "")
    report = done.json
    assert {key: report[key] for key in ("answers", "errors", "fallbacks")} == {
        "answers": 200,
        "errors": 0,
        "fallbacks": 0,
    }
    assert report["exits"] == {tier: samples.exits.count(tier) for tier in TIERS}
    assert report["accuracy"] == np.mean(samples.y.argmax(axis=1) == samples.labels)
    latency = report["latency_ms"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"]
    with np.load(output) as answers:
        assert sorted(answers.files) == ["exits", "fallbacks", "y"]
        assert tuple(answers["exits"]) == samples.exits
        assert set(answers["fallbacks"]) == {""}
        np.testing.assert_allclose(answers["y"], samples.y, rtol=1e-5, atol=1e-6)
