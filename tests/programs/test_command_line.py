"""What a person who makes a mistake sees: one line on standard error, and an exit code."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from splitnet.package import read_manifest
from tests.programs.conftest import Packages
from tests.programs.processes import TIMEOUT_S, Finished, run

LISTEN = ("--listen", "127.0.0.1:0")


def one_line(done: Finished, code: int) -> str:
    """Check the exit code and that there is one line, no traceback; return it."""
    assert (done.code, done.out) == (code, "")
    (line,) = done.err.splitlines()
    assert line.startswith("splitnet: ")
    return line


@pytest.fixture
def altered(packages: Packages, tmp_path: Path) -> Path:
    """A package of which one byte of the cloud's segment is another."""
    path = tmp_path / "altered.split"
    shutil.copytree(packages.split, path)
    file = path / "segments/cloud.onnx"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "options",
    [("cloud", *LISTEN), ("edge", *LISTEN), ("device", "--input", "x.npz"), ("inspect",)],
    ids=lambda o: o[0],
)
def test_there_is_no_package(options: tuple[str, ...], tmp_path: Path) -> None:
    line = one_line(run(*options, *([] if options == ("inspect",) else ["--package"]), str(tmp_path)), 2)
    assert f"{tmp_path}: not a package" in line
    assert "`splitnet partition`" in line


@pytest.mark.parametrize("command", ["cloud", "edge"])
def test_an_altered_segment_is_not_served(command: str, altered: Path) -> None:
    if command == "edge":
        (altered / "segments/edge.onnx").write_bytes(b"")
    line = one_line(run(command, "--package", str(altered), *LISTEN), 3)
    assert str(altered / f"segments/{command}.onnx") in line
    assert "copy the package again" in line


def test_a_tier_reads_its_own_segment_only(altered: Path, tmp_path: Path) -> None:
    (altered / "segments/cloud.onnx").unlink()
    np.savez(tmp_path / "samples.npz", x=np.zeros((1, 12), np.float32))
    data = ("--input", str(tmp_path / "samples.npz"), "--deadline-ms", "20000")
    done = run("device", "--package", str(altered), *data, "--json")
    assert (done.code, done.json["answers"], done.json["errors"]) == (0, 1, 0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("colour = 1", "colour: unknown key"),
        ('package = "p"', "listen: missing"),
    ],
)
def test_a_wrong_setting_is_named(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "cloud.toml"
    file.write_text(text)
    line = one_line(run("cloud", "--config", str(file)), 3)
    assert str(file) in line
    assert says in line


def test_a_settings_file_that_is_not_there(tmp_path: Path) -> None:
    assert "none.toml: no such file" in one_line(run("edge", "--config", str(tmp_path / "none.toml")), 2)


def test_a_bad_address_above(packages: Packages) -> None:
    line = one_line(run("edge", "--package", str(packages.split), *LISTEN, "--upstream", "127.0.0.1"), 3)
    assert "upstream: address '127.0.0.1': expected HOST:PORT" in line


@pytest.mark.parametrize("listen", ["192.0.2.1:80", "no-such-host.invalid:0"])
def test_an_address_that_is_not_ours(listen: str, packages: Packages) -> None:
    where = ("--listen", listen, "--plaintext")
    # Who knows no such host may take some time to say so.
    line = one_line(run("cloud", "--package", str(packages.split), *where, timeout_s=3 * TIMEOUT_S), 3)
    assert f"cannot listen on {listen}: " in line


def test_samples_that_do_not_fit(packages: Packages, tmp_path: Path) -> None:
    file = tmp_path / "samples.npz"
    np.savez(file, x=np.zeros((1, 12)))
    line = one_line(run("device", "--package", str(packages.split), "--input", str(file)), 2)
    assert f"{file}: tensor 'x': expected float32, got float64" in line


def test_answers_that_cannot_be_written(packages: Packages, tmp_path: Path) -> None:
    np.savez(tmp_path / "samples.npz", x=np.zeros((1, 12), np.float32))
    output = tmp_path / "none" / "answers.npz"
    done = run(
        *("device", "--package", str(packages.split), "--input", str(tmp_path / "samples.npz")),
        *("--output", str(output)),
    )
    assert f"{output}: cannot be written: No such file or directory" in one_line(done, 3)


def test_inspect_checks_a_good_package(packages: Packages) -> None:
    size_bytes = sum(file.stat().st_size for file in (packages.split / "segments").iterdir())
    manifest = read_manifest(packages.split)
    done = run("inspect", str(packages.split), "--check", "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json == json.loads((packages.split / "manifest.json").read_text()) | {"verified_bytes": size_bytes}
    done = run("inspect", str(packages.split), "--check")
    assert (done.code, done.err) == (0, "")
    assert f"verified 3 files, {size_bytes:,} bytes" in done.out
    # Each row has a cell for each head.
    rows = [line.split("│")[1:-1] for line in done.out.splitlines() if line.startswith("│ cloud ")]
    measured = [f"{segment.measured_ms:.3f}" for segment in manifest.segments if segment.tier == "cloud"]
    assert [rows[0][0].strip(), rows[0][-1].strip()] == ["cloud", *measured]


def test_inspect_finds_what_was_altered(altered: Path) -> None:
    done = run("inspect", str(altered))
    assert (done.code, done.err) == (0, "")
    line = one_line(run("inspect", str(altered), "--check"), 3)
    assert "segments/cloud.onnx: SHA-256 is" in line
    assert "the file was altered or damaged" in line
    (altered / "segments/cloud.onnx").write_bytes(b"short")
    assert "5 bytes, but the manifest says" in one_line(run("inspect", str(altered), "--check"), 3)
    (altered / "manifest.json").write_text("{}")
    assert "model: missing" in one_line(run("inspect", str(altered)), 3)


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--cut", "nowhere"], 2, "nowhere"),
        (["--cut", "mid", "--cut", "low"], 3, "is not above the cut"),
        (["--cut", "low", "--place", "all-cloud"], 2, "leave --place out"),
        (["--codec", "u8"], 2, "give --calibration data"),
        (["--deployment", "none.toml"], 2, "none.toml: no such file"),
    ],
)
def test_partition_refuses(options: list[str], code: int, says: str, packages: Packages, tmp_path: Path) -> None:
    output = tmp_path / "out.split"
    calibration = ("--calibration", str(packages.calibration)) if "--cut" in options else ()
    line = one_line(run("partition", str(packages.model), "-o", str(output), *options, *calibration), code)
    assert says in line
    assert not list(tmp_path.iterdir())


def test_partition_of_what_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    assert "model.onnx" in one_line(run("partition", str(tmp_path / "model.onnx"), "-o", str(tmp_path / "out")), 3)
