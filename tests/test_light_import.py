"""A device loads no training framework, no graph tools, no solver: what it imports is measured from outside."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.programs.conftest import Packages, packages
from tests.programs.processes import PYTHON, ROOT, TIMEOUT_S

__all__ = ["packages"]

HEAVY = ("torch", "onnx", "onnx_ir", "onnxscript", "flwr", "scipy")

REPORT = f"""
import json, sys
sys.stdout.write(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""

SESSION = """
import sys
import numpy as np
from splitnet_device import Session
with Session(sys.argv[1], upstream="127.0.0.1:9") as session:
    answer = session.infer(np.zeros((3, 12), np.float32), deadline_ms=2000.0)
assert answer.outputs["y"].shape == (3, 4)
"""


LEARNS = """
import sys
import numpy as np
from splitnet_device import Session
with Session(sys.argv[1], store=sys.argv[2]) as session:
    answer = session.infer(np.zeros((3, 12), np.float32), deadline_ms=2000.0)
    session.feedback(answer.ids[0], 1)
"""


def loaded(code: str, *arguments: str) -> list[str]:
    """Return which heavy packages a fresh interpreter has loaded after running `code`."""
    done = subprocess.run(
        [*PYTHON, "-c", code + REPORT, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    names: list[str] = json.loads(done.stdout)
    return names


def test_the_measure_sees_a_heavy_package() -> None:
    assert loaded("import scipy") == ["scipy"]


LIGHT = (
    "splitnet_device",
    "splitnet_edge",
    "splitnet_server",
    "splitnet.cli.main",
    "splitnet.learn.local",
    "splitnet.learn.store",
)


@pytest.mark.parametrize("package", LIGHT)
def test_importing_a_program_is_light(package: str) -> None:
    assert loaded(f"import {package}") == []


def test_running_a_session_is_light(packages: Packages) -> None:
    assert loaded(SESSION, str(packages.split)) == []


def test_a_session_that_keeps_samples_is_light(packages: Packages, tmp_path: Path) -> None:
    assert loaded(LEARNS, str(packages.split), str(tmp_path / "samples")) == []
