"""A device loads its part of learning without the packages of servers."""

import subprocess
import sys

HEAVY = ("dp_accounting", "scipy", "torch", "onnx", "onnx_ir", "flwr")


def loaded(code: str) -> set[str]:
    """Return which heavy packages a fresh interpreter has loaded after running `code`."""
    code = f"{code}\nimport sys\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    return set(done.stdout.split())


def test_importing_is_light() -> None:
    assert loaded("import splitnet.learn.identity, splitnet.learn.privacy, splitnet.learn.strategy") == set()


def test_accounting_is_not_for_devices() -> None:
    used = "from splitnet.learn.privacy.accounting import epsilon_of; epsilon_of([1.0], 1e-5)"
    assert loaded(used) == {"dp_accounting", "scipy"}
