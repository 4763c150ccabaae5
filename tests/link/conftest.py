"""A site of two machines: a cloud, and a camera that connects to it."""

from pathlib import Path

import pytest

from splitnet.certificates import Authority
from splitnet.config import TlsConfig
from tests.certificates.site import authority, machine


@pytest.fixture
def hall(tmp_path: Path) -> Authority:
    return authority(tmp_path)


@pytest.fixture
def cloud(tmp_path: Path, hall: Authority) -> TlsConfig:
    return machine(tmp_path, hall, "cloud")


@pytest.fixture
def cam(tmp_path: Path, hall: Authority) -> TlsConfig:
    return machine(tmp_path, hall, "cam-1", addresses=("cam-1.hall", "10.0.0.7"))
