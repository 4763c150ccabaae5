"""Other servers of the protocol, each in a virtual environment of its own, to hold a tier against."""

import json
import os
import shutil
import socket
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from splitnet.tensors import TensorSpec

#: What each needs beside the onnxruntime that we run too.
PEERS = {"triton": "nvidia-pytriton==0.7.0", "mlserver": "mlserver==1.7.1"}

_STOP_S = 20.0


@dataclass(frozen=True, slots=True)
class PeerModel:
    """What a peer serves, through onnxruntime on one thread, as a tier does.

    Attributes:
        path: the ONNX file.
        inputs: what it takes, float32.
        outputs: what it makes, float32.
    """

    path: Path
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True, slots=True)
class RunningPeer:
    """A peer that was started; it may not answer yet."""

    address: str
    pid: int


def default_folder() -> Path:
    """Where the environments are kept: the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "splitnet-benchmarks"


def installed(name: str, folder: Path) -> bool:
    """Whether the peer's environment is complete."""
    return (folder / name / "installed.json").is_file()


def install(name: str, folder: Path) -> None:
    """Make the peer's environment with pip; hundreds of megabytes."""
    root = folder / name
    venv.create(root, with_pip=True, clear=True)
    packages = [PEERS[name], f"onnxruntime=={version('onnxruntime')}"]
    subprocess.run([str(root / "bin" / "pip"), "install", "--no-input", *packages], check=True)
    (root / "installed.json").write_text(json.dumps(packages), encoding="utf-8")


@contextmanager
def triton(model: PeerModel, folder: Path, work: Path) -> Iterator[RunningPeer]:
    """Run Triton with a Python backend; its binary and that backend are in the wheel of nvidia-pytriton.

    Args:
        model: served as "segment".
        folder: holds the environments.
        work: for its model repository and log.
    """
    root = folder / "triton"
    (packages,) = root.glob("lib/python3*/site-packages")
    server = packages / "pytriton" / "tritonserver"
    _write_repository(model, work / "repository")
    backends = work / "backends"
    shutil.copytree(server / "backends" / "python", backends / "python")
    stub = f"python_backend_stubs/{sys.version_info.major}.{sys.version_info.minor}/triton_python_backend_stub"
    shutil.copy(server / stub, backends / "python")
    port = _free_port()
    command = [
        *(str(server / "bin" / "tritonserver"), "--model-repository", str(work / "repository")),
        *("--backend-directory", str(backends), "--grpc-address", "127.0.0.1", "--grpc-port", str(port)),
        *("--allow-http", "false", "--allow-metrics", "false"),
    ]
    environment = {
        "PATH": f"{root / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(packages),
        "LD_LIBRARY_PATH": str(packages / "nvidia_pytriton.libs"),
    }
    with _running(command, environment, work / "triton.log") as pid:
        yield RunningPeer(f"127.0.0.1:{port}", pid)


@contextmanager
def mlserver(model: PeerModel, folder: Path, work: Path) -> Iterator[RunningPeer]:
    """Run MLServer with a runtime of ours, in its own process as Triton's is (see `triton` for the arguments)."""
    served = work / "mlserver"
    served.mkdir()
    port = _free_port()
    settings = {
        "host": "127.0.0.1",
        "grpc_port": port,
        "http_port": _free_port(),
        "metrics_port": _free_port(),
        "parallel_workers": 0,
    }
    (served / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    (served / "runtime.py").write_text(_MLSERVER_RUNTIME.format(path=str(model.path)), encoding="utf-8")
    described = {"name": "segment", "implementation": "runtime.Segment"}
    (served / "model-settings.json").write_text(json.dumps(described), encoding="utf-8")
    command = [str(folder / "mlserver" / "bin" / "mlserver"), "start", str(served)]
    with _running(command, {"PYTHONPATH": str(served)}, work / "mlserver.log") as pid:
        yield RunningPeer(f"127.0.0.1:{port}", pid)


@contextmanager
def _running(command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[int]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
            cwd=log.parent,
            start_new_session=True,
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    """Return a port of this machine that nobody listens on now, for a program that cannot choose one itself."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _write_repository(model: PeerModel, repository: Path) -> None:
    folder = repository / "segment" / "1"
    folder.mkdir(parents=True)
    (folder / "model.py").write_text(_TRITON_MODEL.format(path=str(model.path)), encoding="utf-8")
    tensors = [
        f'{kind} [ {{ name: "{spec.name}" data_type: TYPE_FP32 dims: {_dims(spec)} }} ]'
        for kind, specs in (("input", model.inputs), ("output", model.outputs))
        for spec in specs
    ]
    lines = ['name: "segment"', 'backend: "python"', "max_batch_size: 0", *tensors]
    lines.append("instance_group [ { kind: KIND_CPU count: 1 } ]")
    (folder.parent / "config.pbtxt").write_text("\n".join(lines), encoding="utf-8")


def _dims(spec: TensorSpec) -> list[int]:
    return [size if isinstance(size, int) else -1 for size in spec.shape]


_SESSION = """
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession({path!r}, options, providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
"""

_TRITON_MODEL = (
    _SESSION
    + """
import triton_python_backend_utils as utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        inputs = {{tensor.name(): tensor.as_numpy() for tensor in request.inputs()}}
        outputs = session.run(None, inputs)
        return utils.InferenceResponse([utils.Tensor(*pair) for pair in zip(names, outputs)])
"""
)

_MLSERVER_RUNTIME = (
    _SESSION
    + """
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Segment(MLModel):
    async def load(self):
        return True

    async def predict(self, request):
        inputs = {{tensor.name: NumpyCodec.decode_input(tensor) for tensor in request.inputs}}
        outputs = session.run(None, inputs)
        encoded = [NumpyCodec.encode_output(name, array) for name, array in zip(names, outputs)]
        return InferenceResponse(model_name=self.name, outputs=encoded)
"""
)
