"""The commonest mistakes on the command line: one clear line that says what to mend, and an exit code."""

from pathlib import Path

import pytest

from splitnet.package import write_package
from tests.package.strategies import example
from tests.programs.processes import run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A package of a newer format, a directory, and files that are wrong."""
    content = example()
    newer = write_package(tmp_path / "newer.split", content.manifest, content.files)
    manifest = newer.path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format_version": 4', '"format_version": 5'))
    (tmp_path / "folder").mkdir()
    (tmp_path / "wrong.toml").write_text('package = "p"\nlisten = "127.0.0.1:0"\ntls = "folder"\nworker = 2\n')
    (tmp_path / "below.toml").write_text('package = "p"\n[tls]\ndirectory = "d"\nlisten = "127.0.0.1:0"\n')
    (tmp_path / "site.toml").write_text('site = "hall"\n[link]\nbandwith = 3\n')
    (tmp_path / "model.onnx").write_bytes(b"no model")
    return tmp_path


CERTIFICATE = "the directory of this machine's certificate (--tls DIR), as `splitnet keys certificate` makes it"
ADDRESS = "HOST:PORT as text, such as '127.0.0.1:8001'"
LINK = "a table with the keys bandwidth, trace, trace_s, delay_ms, rtt_ms, jitter_ms, energy_mj_per_byte"

#: The command, and what is said; FOLDER stands for where the files are.
MISTAKES = {
    "a package of a newer format": (
        "cloud --package FOLDER/newer.split --listen 127.0.0.1:0",
        (
            "FOLDER/newer.split/manifest.json: format_version: the package is of format 5, this version reads 4; "
            "read it with a newer SplitNet"
        ),
    ),
    "a folder for a configuration": (
        "edge --config FOLDER/folder",
        "FOLDER/folder: not a readable TOML file: Is a directory",
    ),
    "nothing is given": (
        "cloud",
        f"command line: package: missing, expected a path, as text; listen: missing, expected {ADDRESS}",
    ),
    "wrong keys": (
        "cloud --config FOLDER/wrong.toml",
        (
            "FOLDER/wrong.toml: tls: expected a table with the keys directory, upstream_name, got 'folder'; "
            "worker: unknown key, did you mean workers?"
        ),
    ),
    "a key below a table's head": (
        "cloud --config FOLDER/below.toml",
        (
            "FOLDER/below.toml: tls.listen: unknown key, it belongs at the top of the file, above the first "
            f"table; listen: missing, expected {ADDRESS}"
        ),
    ),
    "a name for a certificate, and none of one's own": (
        "device --package FOLDER/newer.split --input x.npz --tls-server-name cloud",
        f"command line: tls.directory: missing, expected {CERTIFICATE}",
    ),
    "the same for tiers to ask": (
        "release status --tier 127.0.0.1:1 --tls-server-name cloud",
        f"command line: directory: missing, expected {CERTIFICATE}",
    ),
    "a deployment with wrong tables": (
        "partition FOLDER/model.onnx -o FOLDER/out.split --deployment FOLDER/site.toml",
        (
            "FOLDER/site.toml: site: expected a table with the keys device, edge, cloud, machines, got 'hall'; "
            f"link.device-edge: missing, expected {LINK}; link.edge-cloud: missing, expected {LINK}; "
            "link.bandwith: unknown key, known here are device-edge, edge-cloud"
        ),
    ),
}


@pytest.mark.parametrize(("command", "says"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_clear_line(command: str, says: str, folder: Path) -> None:
    done = run(*command.replace("FOLDER", str(folder)).split())
    assert (done.code, done.out, done.err) == (3, "", f"splitnet: {says}\n".replace("FOLDER", str(folder)))
    assert not (folder / "out.split").exists()
