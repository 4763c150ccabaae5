"""`splitnet keys` as the operator of a site uses it: certificates that TLS takes, and signed packages."""

import shutil
from pathlib import Path

import pytest

from splitnet.certificates import read_machine
from splitnet.config import TlsConfig
from splitnet.link.tls import client_credentials, server_credentials
from splitnet.package import open_package, write_package
from splitnet.signing import make_operator
from tests.package.strategies import example
from tests.programs.processes import Finished
from tests.programs.test_keys import keys, ok, refused


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the authority of a site."""
    folder = tmp_path_factory.mktemp("site")
    made = keys(folder, "authority", "-o", "@site", "--site", "hall", "--years", "2", "--json").json
    assert (made["name"], made["authority"], made["trusted"]) == ("hall authority", True, 1)
    return folder


def signed(folder: Path, command: str, *arguments: str) -> Finished:
    return keys(folder, command, *arguments, "--authority", "@site")


def test_a_machine_gets_a_certificate_and_renews_it(site: Path) -> None:
    addresses = ("--address", "127.0.0.1", "--address", "cloud.example")
    made = signed(site, "certificate", "cloud", "-o", "@cloud", *addresses, "--days", "2", "--json").json
    assert (made["names"], made["addresses"]) == (["cloud", "cloud.example"], ["127.0.0.1"])
    tls = TlsConfig(directory=site / "cloud")
    server_credentials(tls)
    client_credentials(tls)
    before = read_machine(tls.directory)
    assert ok(signed(site, "renew", "@cloud")).startswith("cloud, until ")
    assert read_machine(tls.directory).validity.end > before.validity.end
    (first, second) = ok(keys(site, "show", "@cloud")).splitlines()
    assert "hall authority, signed by hall authority, until " in first
    assert "certificate.pem: cloud (cloud.example, 127.0.0.1), signed by hall authority, until " in second


def test_a_machine_keeps_its_key_to_itself(site: Path) -> None:
    asked = keys(site, "request", "cam-1", "-o", "@cam", "--json").json
    assert asked == {"name": "cam-1", "request": str(site / "cam/request.pem")}
    ok(signed(site, "certificate", "cam-1", "-o", "@out", "--request", "@cam/request.pem"))
    shutil.copytree(site / "out", site / "cam", dirs_exist_ok=True)
    assert read_machine(site / "cam").name == "cam-1"


def test_mistakes_are_one_line(site: Path) -> None:
    assert "is there already" in refused(keys(site, "authority", "-o", "@site", "--site", "hall"), 3)
    assert "lower-case" in refused(signed(site, "certificate", "Cloud*", "-o", "@new"), 2)
    assert not (site / "new").exists()


def test_an_authority_is_renewed_in_three_steps(site: Path) -> None:
    shutil.copytree(site / "site", site / "renewed")
    trusted = []
    for step, todo in (("begin", "then switch"), ("switch", "then end"), ("end", "the new authority.pem")):
        assert todo in ok(keys(site, "authority", "-o", "@renewed", "--renewal", step))
        trusted.append((site / "renewed/authority.pem").read_text().count("BEGIN CERTIFICATE"))
    assert trusted == [2, 2, 1]


def test_a_signed_package_is_verified_and_an_altered_one_is_not(tmp_path: Path) -> None:
    content = example()
    write_package(tmp_path / "p.split", content.manifest, content.files)
    operator = make_operator(tmp_path / "operator")
    ok(keys(tmp_path, "sign", "@p.split", "--operator", "@operator"))
    verify = ("verify", "@p.split", "--key", "@operator/operator.pub")
    said = keys(tmp_path, *verify, "--json").json
    assert (said["operator"], said["verified_bytes"]) == (operator.id, open_package(tmp_path / "p.split").check())
    assert said["unlisted"] == []
    for number in range(7):
        (tmp_path / f"p.split/{number}.bin").write_bytes(b"?")
    named = "not signed, and never read: 0.bin, 1.bin, 2.bin, 3.bin, 4.bin and 2 more"
    assert named in ok(keys(tmp_path, *verify))
    with (tmp_path / "p.split/manifest.json").open("a") as manifest:
        manifest.write("\n")
    assert "altered since it was signed" in refused(keys(tmp_path, *verify), 3)
