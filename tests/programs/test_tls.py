"""Three programs that know one another by certificates, and what strangers and the unsigned are told."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from splitnet.certificates import Authority, renew
from splitnet.config import TlsConfig
from splitnet.package.sign import sign_package
from splitnet.signing import make_operator
from tests.certificates.site import MONTH, authority, machine, span
from tests.programs.classifier import NAME
from tests.programs.conftest import Packages, Samples
from tests.programs.processes import Finished, Program, eventually, run, running

SAMPLES = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def hall(folder: Path) -> Authority:
    return authority(folder)


@pytest.fixture(scope="module")
def data(folder: Path, samples: Samples) -> Path:
    np.savez(folder / "samples.npz", x=samples.x[:SAMPLES])
    return folder / "samples.npz"


@pytest.fixture(scope="module")
def package(folder: Path, packages: Packages) -> Path:
    """A package cut in three, signed by the operator."""
    path = folder / "packages" / "split.split"
    shutil.copytree(packages.split, path)
    sign_package(path, make_operator(folder / "operator"))
    return path


@pytest.fixture(scope="module")
def edge(folder: Path, hall: Authority, package: Path) -> Iterator[Program]:
    """An edge that takes requests of cameras alone, over a cloud that takes only signed packages."""
    (folder / "cloud.toml").write_text(f'package_key = "{folder / "operator/operator.pub"}"\n')
    (folder / "edge.toml").write_text('[[access]]\nnames = ["cam-*"]\n')
    with ExitStack() as stack:
        upstream: tuple[str, int] | None = None
        for tier in ("cloud", "edge"):
            tls = machine(folder, hall, tier)
            program = stack.enter_context(
                running(
                    tier,
                    package=package,
                    upstream=upstream,
                    options=("--config", str(folder / f"{tier}.toml"), "--tls", str(tls.directory)),
                )
            )
            upstream = program.address
        yield program


def device(package: Path, edge: Program, data: Path, tls: TlsConfig, *options: str) -> Finished:
    return run(
        *("device", "--package", str(package), "--upstream", edge.target, "--input", str(data)),
        *("--deadline-ms", "20000", "--json", "--tls", str(tls.directory), *options),
    )


def test_machines_of_a_site_answer_one_another(
    folder: Path, hall: Authority, package: Path, samples: Samples, edge: Program, data: Path
) -> None:
    cam = machine(folder, hall, "cam-1")
    first = device(package, edge, data, cam)
    assert (first.code, first.err) == (0, "")
    assert (first.json["answers"], first.json["fallbacks"]) == (SAMPLES, 0)
    assert first.json["exits"]["cloud"] == samples.exits[:SAMPLES].count("cloud") > 0

    for directory in (folder / "edge", folder / "cloud", cam.directory):
        renew(directory, hall, span(-MONTH, MONTH))
    again = device(package, edge, data, cam)
    assert (again.json["answers"], again.json["fallbacks"]) == (SAMPLES, 0)


def test_a_stranger_is_refused_with_a_reason_on_both_sides(
    folder: Path, hall: Authority, package: Path, edge: Program, data: Path
) -> None:
    yard = authority(folder, "yard")
    stranger = machine(folder, yard, "cam-9")
    (stranger.directory / "authority.pem").write_bytes(yard.bundle + hall.bundle)
    done = device(package, edge, data, stranger)
    assert (done.code, done.json["errors"]) == (0, 0)
    assert done.json["fallbacks"] > 0
    assert done.json["exits"]["cloud"] == done.json["exits"]["edge"] == 0
    said = f"{edge.target} refused the certificate of this machine (cam-9, until "
    assert done.err.count(said) == 1
    eventually(lambda: "CERTIFICATE_VERIFY_FAILED: unable to get local issuer certificate" in edge.logged())


def test_a_name_that_no_rule_allows_is_denied(
    folder: Path, hall: Authority, package: Path, edge: Program, data: Path
) -> None:
    done = device(package, edge, data, machine(folder, hall, "printer"))
    assert (done.code, done.json["errors"]) == (0, 0)
    assert done.json["fallbacks"] > 0
    assert "PERMISSION_DENIED" in done.err


def test_who_may_load_is_up_to_the_rules(folder: Path, hall: Authority, package: Path, edge: Program) -> None:
    tls = ("--tls", str(machine(folder, hall, "cam-2").directory))
    (tier,) = run("release", "status", "--tier", edge.target, "--json", *tls).json["tiers"]
    assert {model["state"] for model in tier["models"]} == {"READY"}
    done = run("release", "apply", str(package), "--tier", edge.target, *tls)
    assert (done.code, done.out) == (2, "")
    assert "cam-2 may not load or unload versions of model" in done.err
    done = run("release", "status", "--tier", edge.target)
    assert (done.code, done.out) == (4, "")
    done = run("release", "status", "--tier", "edge.example:1")
    assert (done.code, done.out) == (3, "")
    assert "--tls DIR" in done.err


def test_the_name_in_the_certificate_may_be_another_than_the_address(
    folder: Path, hall: Authority, package: Path, edge: Program, data: Path
) -> None:
    tls = machine(folder, hall, "cam-3")
    status = ("release", "status", "--tier", edge.target, "--tls", str(tls.directory), "--tls-server-name")
    assert (run(*status, "edge").code, run(*status, "cloud").code) == (0, 4)
    done = device(package, edge, data, tls, "--tls-server-name", "cloud")
    assert done.json["exits"]["cloud"] == done.json["exits"]["edge"] == 0
    assert "bears the names edge, " in done.err
    assert ", not cloud; " in done.err
    bench = ("bench", "--tier", edge.target, "--model", NAME, "--input", str(data), "--tls", str(tls.directory))
    done = run(*bench, "--tls-server-name", "edge", "--scenario", "offline", "--accuracy", "--json")
    assert (done.code, done.json["errors"]) == (0, 0), done.err


def test_a_certificate_that_is_not_there_and_none_where_one_is_needed_are_said(
    folder: Path, package: Path, edge: Program, data: Path
) -> None:
    nowhere = TlsConfig(directory=folder / "nowhere")
    done = device(package, edge, data, nowhere)
    assert (done.code, done.out) == (3, "")
    assert "nowhere/private.key: no such file" in done.err
    done = run("release", "status", "--tier", edge.target)
    assert "speaks TLS; give this machine's certificate: --tls DIR" in done.err


def test_a_link_beyond_this_machine_is_closed_unless_asked_for(packages: Packages) -> None:
    everywhere = "0.0.0.0:0"
    done = run("cloud", "--package", str(packages.all_cloud), "--listen", everywhere)
    assert (done.code, done.out) == (3, "")
    (line,) = done.err.splitlines()
    assert "--tls DIR" in line
    assert "--plaintext" in line
    options = ("--listen", everywhere, "--plaintext")
    with running("cloud", package=packages.all_cloud, listen=None, options=options) as program:
        assert program.address[1] > 0


def test_an_unsigned_package_is_not_served(package: Path, packages: Packages, tmp_path: Path) -> None:
    make_operator(tmp_path / "other")
    (tmp_path / "key.toml").write_text(f'package_key = "{tmp_path / "other/operator.pub"}"\n')
    for tier, path, rest, reason in (
        ("cloud", packages.all_cloud, ("--listen", "127.0.0.1:0"), "not signed"),
        ("device", package, ("--input", "none.npz"), "not by"),
    ):
        done = run(tier, "--package", str(path), "--config", str(tmp_path / "key.toml"), *rest)
        assert (done.code, done.out) == (3, "")
        assert reason in done.err
