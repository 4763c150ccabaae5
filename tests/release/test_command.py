"""`splitnet release`, and a device program that goes over on SIGHUP, as processes."""

import json
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from splitnet.errors import InvalidArgumentError, NotFoundError
from splitnet.package import open_package
from splitnet.release.parameter_file import read_parameters
from tests.programs.classifier import NAME, draw
from tests.programs.conftest import Packages
from tests.programs.processes import PYTHON, ROOT, TIMEOUT_S, Finished, eventually, run, running
from tests.release.versions import fitted_head, head_of, other_weights, trainable

#: The beginning of an .npy file of so many bytes (NEP 1), with type and shape to be filled in.
HEADER = b"\x93NUMPY\x01\x00\x76\x00{'descr': %-10s, 'fortran_order': False, 'shape': %-61s}\n"


@pytest.fixture
def one(packages: Packages, tmp_path: Path) -> Path:
    return trainable(packages.split, tmp_path / "one.split").path


def make(one: Path, calibration: Path, parameters: Path, *options: str) -> Finished:
    output = one.with_name("two.split")
    files = ("--package", one, "--parameters", parameters, "--calibration", calibration, "-o", output)
    return run("release", "make", *map(str, files), *options)


def test_a_better_version_is_made_and_rolled_out(one: Path, packages: Packages) -> None:
    parameters, two = one.with_name("learned.npy"), one.with_name("two.split")
    np.save(parameters, fitted_head(open_package(one)))
    done = make(one, packages.calibration, parameters, "--json")
    assert (done.code, done.err) == (0, "")
    made = done.json
    assert (made["released"], made["package"]) == (True, str(two))
    assert (made["running"]["version"], made["candidate"]["version"]) == (1, 2)
    assert json.loads(Path(made["report"]).read_text())["candidate"] == made["candidate"]
    with (
        running("cloud", package=one) as cloud,
        running("edge", package=one, upstream=cloud.address) as edge,
    ):
        applied = run("release", "apply", str(two), "--tier", edge.target, "--tier", cloud.target, "--json")
        assert (applied.code, applied.err) == (0, "")
        assert applied.json == {
            "version": 2,
            "plan": open_package(two).manifest.plan.id,
            "loaded": [{"address": cloud.target, "tier": "cloud"}, {"address": edge.target, "tier": "edge"}],
        }
        (tier,) = run("release", "status", "--tier", edge.target, "--json").json["tiers"]
        assert tier["models"][0] == {"name": NAME, "version": "2", "state": "READY", "reason": ""}
        shown = run("release", "status", "--tier", cloud.target)
        assert (shown.code, f"{NAME}.cloud" in shown.out, "READY" in shown.out) == (0, True, True)


def test_what_is_no_better_ends_with_5(one: Path, packages: Packages) -> None:
    parameters = one.with_name("learned.npy")
    np.save(parameters, head_of(open_package(one)))
    done = make(one, packages.calibration, parameters)
    assert (done.code, "refused: no worse" in done.out) == (5, True)
    assert not one.with_name("two.split").exists()
    report = json.loads((one.with_name("two.refused") / "report.json").read_text())
    assert (report["released"], report["running"]["version"]) == (False, 1)


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (None, NotFoundError, "no such file"),
        (np.zeros(192), InvalidArgumentError, r"expected float32 \[d\], got float64 \[192\]"),
        (np.zeros((48, 4), np.float32), InvalidArgumentError, r"got float32 \[48, 4\]"),
        (np.array([None]), InvalidArgumentError, r"not a readable \.npy file"),
        (b"PK\x03\x04", InvalidArgumentError, r"not a readable \.npy file"),
        (b"\x93NUMPY\x01\x00", InvalidArgumentError, r"not a readable \.npy file"),
        (HEADER % (b"((((", b"(4,)"), InvalidArgumentError, r"not a readable \.npy file"),
        (HEADER % (b"'<f4'", b"(%d,)" % 10**30), InvalidArgumentError, r"not a readable \.npy file"),
    ],
)
def test_a_file_that_holds_no_parameters_is_refused(
    tmp_path: Path, content: Any, kind: type[Exception], message: str
) -> None:
    path = tmp_path / "learned.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(kind, match=message):
        read_parameters(path)


def test_a_roll_out_that_cannot_go_on_says_how_far_it_came(one: Path, tmp_path: Path) -> None:
    two = other_weights(one, tmp_path / "two.split", version=2)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copytree(one, elsewhere / "one.split")
    with (
        running("cloud", package=one) as cloud,
        running("edge", package=elsewhere / "one.split", upstream=cloud.address) as edge,
    ):
        done = run("release", "apply", str(two), "--tier", edge.target, "--tier", cloud.target)
        assert done.code == 2
        assert f"{edge.target}: [NOT_FOUND] the repository holds no package 'two.split'" in done.err
        assert f"(version 2 is loaded at {cloud.target})" in done.err
        assert done.out == f"cloud at {cloud.target} offers version 2\n"
        config = tmp_path / "closed.toml"
        config.write_text("allow_load = false\n")
        with running("cloud", package=one, options=["--config", str(config)]) as closed:
            refused = run("release", "apply", str(two), "--tier", closed.target)
            assert refused.code == 2
            assert "set allow_load = true in its configuration" in refused.err
    gone = run("release", "apply", str(two), "--tier", "127.0.0.1:9")
    assert gone.code == 4


def test_a_tier_of_another_model_is_left_alone(one: Path, packages: Packages, tmp_path: Path) -> None:
    other = tmp_path / "other.split"
    shutil.copytree(packages.all_device, other)
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["model"]["name"] = "other"
    (other / "manifest.json").write_text(json.dumps(manifest))
    with running("edge", package=other) as edge:
        done = run("release", "apply", str(one), "--tier", edge.target)
    assert done.code == 2
    assert f"serves ['other'], not '{NAME}'" in done.err


def test_a_device_goes_over_on_sighup(packages: Packages, tmp_path: Path) -> None:
    shutil.copytree(packages.split, tmp_path / "one.split")
    data = tmp_path / "data.npz"
    np.savez(data, x=draw(4000, seed=3)[0])
    command = ["device", "--package", str(tmp_path / "one.split"), "--input", str(data), "--verbose", "--json"]
    log = tmp_path / "log.txt"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [*PYTHON, "-m", "splitnet", *command, "--emulated-speed", "0.02"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            eventually(lambda: "answers instead" in log.read_text())  # samples are under way
            for version, said in [(None, "version 1 runs"), (2, "version 2 runs")]:
                if version is not None:
                    other_weights(packages.split, tmp_path / "two.split", version=version)
                process.send_signal(signal.SIGHUP)
                eventually(lambda said=said: said in log.read_text())  # type: ignore[misc]  # bound at once
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=TIMEOUT_S)
    assert "Traceback" not in log.read_text()
