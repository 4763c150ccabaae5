"""The package that faults are tried on, made once a test run."""

import pytest

from tests.faults.package import Asked, make


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    return make(tmp_path_factory.mktemp("package"))
