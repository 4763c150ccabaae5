"""A package of several plans, put together of the packages of the programs' tests."""

import pytest

from splitnet.package import Package
from tests.programs.conftest import Packages, packages, whole
from tests.tier.several_plans import together

__all__ = ["Packages", "package", "packages", "whole"]


@pytest.fixture(scope="session")
def package(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Package:
    """Three tiers with exits, the same with wires of 8 bits, everything in the cloud, everything on the device."""
    path = tmp_path_factory.mktemp("several") / "several.split"
    parts = [packages.split, packages.u8, packages.all_cloud, packages.all_device]
    return together(parts, path, from_bps=[1e6, 1e5, 1e8, 0.0])
