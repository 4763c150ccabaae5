"""An edge says at its start what is wrong with its upstream: one that no plan uses, or plans that lack one."""

import logging
from pathlib import Path

import pytest

from splitnet.config import EdgeConfig
from splitnet.errors import ConfigError
from splitnet.package import Manifest, read_manifest
from splitnet.tier import ServingTier, Uplink
from splitnet.tier.above import check_upstream
from tests.programs.conftest import Packages
from tests.programs.processes import run, running
from tests.tier.several_plans import together

UPSTREAM = (("127.0.0.1", 9),)
OPTION = "--upstream HOST:PORT, or `upstream` in the configuration"


@pytest.fixture
def ends_below(packages: Packages, tmp_path: Path) -> Path:
    """Two plans, of which none comes to the cloud."""
    return together([packages.all_device, packages.all_device], tmp_path / "p.split", from_bps=[0, 1e7]).path


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def checked(manifest: Manifest, caplog: pytest.LogCaptureFixture, *, given: bool) -> list[str]:
    check_upstream(manifest, "edge", UPSTREAM if given else None)
    return warnings(caplog)


def test_an_upstream_that_no_plan_uses(packages: Packages, caplog: pytest.LogCaptureFixture) -> None:
    manifest = read_manifest(packages.all_device)
    (line,) = checked(manifest, caplog, given=True)
    assert "127.0.0.1:9" in line
    assert f"nothing of 'classifier' goes beyond the edge by plan {manifest.plan.id}" in line
    assert OPTION in line


@pytest.mark.parametrize("given", [True, False])
def test_nothing_is_said_where_a_plan_goes_on_from_an_exit(
    packages: Packages, caplog: pytest.LogCaptureFixture, *, given: bool
) -> None:
    assert checked(packages.manifest, caplog, given=given) == []


def test_without_any_other_plan_an_edge_that_needs_its_upstream_does_not_start(packages: Packages) -> None:
    manifest = read_manifest(packages.all_cloud)
    config = EdgeConfig.model_validate({"package": packages.all_cloud, "listen": "127.0.0.1:0"})
    with pytest.raises(ConfigError, match=f"only the cloud can answer by plan {manifest.plan.id} .*{OPTION}"):
        ServingTier("edge", config, Uplink("edge", config))
    done = run("edge", "--package", str(packages.all_cloud), "--listen", "127.0.0.1:0")
    assert (done.code, done.out) == (3, "")
    assert OPTION in done.err


def test_with_another_plan_it_is_told_which_ones_lack_their_upstream(
    packages: Packages, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mixed = together([packages.all_cloud, packages.split], tmp_path / "p.split", from_bps=[0, 1e7]).manifest
    (line,) = checked(mixed, caplog, given=False)
    assert f"only the cloud can answer by plan {mixed.plan.id} of" in line
    assert mixed.plans[1].id not in line
    caplog.clear()
    assert checked(mixed, caplog, given=True) == []


def test_the_program_says_so_in_one_line(ends_below: Path, tmp_path: Path) -> None:
    """Of the key in a file as of the option."""
    settings = tmp_path / "edge.toml"
    settings.write_text('upstream = "127.0.0.1:9"\n')
    with running("edge", package=ends_below, options=("--config", str(settings))) as edge:
        (line,) = edge.logged().splitlines()
    assert "upstream 127.0.0.1:9 is not used" in line
    for plan in read_manifest(ends_below).plans:
        assert plan.id in line
