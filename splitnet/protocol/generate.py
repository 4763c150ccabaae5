"""Makes the protobuf module from open_inference.proto, or checks that the committed one is fresh.

Run it as `python -m splitnet.protocol.generate`, or by its path where the committed module cannot be imported.
"""

import argparse
import importlib.metadata
import subprocess
import sys
import tempfile
from pathlib import Path

#: The path under which protobuf registers the file: it must be unique in a process.
PROTO = "splitnet/protocol/open_inference.proto"
GENERATED = (
    "splitnet/protocol/open_inference_pb2.py",
    "splitnet/protocol/open_inference_pb2.pyi",
)
_ROOT = Path(__file__).resolve().parents[2]


def generate(target: Path) -> None:
    """Write the generated files below `target`, at their paths in the repository.

    Raises:
        subprocess.CalledProcessError: protoc failed; it has said why on standard error.
    """
    # A process of its own: importing grpc_tools installs import hooks for .proto files.
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{_ROOT}", f"--python_out={target}"]
    subprocess.run([*command, f"--pyi_out={target}", PROTO], check=True, cwd=_ROOT)  # noqa: S603  # fixed words
    stub = target / GENERATED[1]
    # protoc writes a bare `Mapping` for a map field, which strict mypy refuses.
    stub.write_text(f'# mypy: disable-error-code="type-arg"\n{stub.read_text()}')


def stale_files() -> list[str]:
    """Return those of the committed files that differ from what the generator makes now."""
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        return [name for name in GENERATED if not _same(_ROOT / name, Path(scratch, name))]


def _same(committed: Path, fresh: Path) -> bool:
    return committed.is_file() and committed.read_bytes() == fresh.read_bytes()


def main(arguments: list[str] | None = None) -> int:
    """Run the program and return its exit code: 0, or 1 when `--check` found a stale file."""
    parser = argparse.ArgumentParser(prog="python -m splitnet.protocol.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a file is stale")
    if not parser.parse_args(arguments).check:
        generate(_ROOT)
        return 0
    stale = stale_files()
    if not stale:
        return 0
    sys.stderr.write(
        f"stale: {', '.join(stale)}\n"
        f"{PROTO} or the generator changed. pyproject.toml pins the generator; here is grpcio-tools"
        f" {importlib.metadata.version('grpcio-tools')}.\n"
        "Run `python -m splitnet.protocol.generate` and commit the result.\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
