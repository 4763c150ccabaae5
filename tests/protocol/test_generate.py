"""The committed protobuf module is what the generator makes of the .proto."""

import shutil
import subprocess
import sys
from pathlib import Path

from splitnet.protocol.generate import GENERATED, PROTO

_ROOT = Path(__file__).resolve().parents[2]


def _generate(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "splitnet.protocol.generate", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=100)


def _copy(root: Path) -> Path:
    """A tree with the tool, its .proto and what they import, to spoil."""
    shutil.copytree(_ROOT / "splitnet/protocol", root / "splitnet/protocol")
    for name in ("__init__.py", "errors.py", "tensors.py"):
        shutil.copy(_ROOT / "splitnet" / name, root / "splitnet")
    return root


def test_the_committed_files_are_fresh() -> None:
    result = _generate(_ROOT, "--check")
    assert (result.returncode, result.stderr) == (0, "")


def test_a_stale_file_is_found_and_mended(tmp_path: Path) -> None:
    root = _copy(tmp_path)
    proto = root / PROTO
    proto.write_text(proto.read_text().replace("bool live = 1;", "bool live = 2;"))
    stale = _generate(root, "--check")
    assert stale.returncode == 1
    assert GENERATED[0] in stale.stderr
    assert "python -m splitnet.protocol.generate" in stale.stderr
    assert _generate(root).returncode == 0
    assert _generate(root, "--check").returncode == 0


def test_a_broken_file_is_mended_by_running_the_tool_by_its_path(tmp_path: Path) -> None:
    root = _copy(tmp_path)
    for name in GENERATED:
        (root / name).write_text("<<<<<<< a merge went wrong")
    subprocess.run([sys.executable, root / "splitnet/protocol/generate.py"], check=True, timeout=100)
    assert all((root / name).read_bytes() == (_ROOT / name).read_bytes() for name in GENERATED)
