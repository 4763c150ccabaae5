"""Deployment files, good and bad."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from splitnet.cost import DEFAULT_SITE_TOML, Link, Machine, default_site, load_site
from splitnet.errors import ConfigError, NotFoundError

GOOD = """
[site]
device = "pi"
edge = "box"
cloud = "box"

[machine.pi]
speed = 0.1
description = "Zero 2"

[machine.box]
speed = 1

[machine.spare]
speed = 3.5

[link.device-edge]
bandwidth = "20M"
delay_ms = 5
jitter_ms = 1.5

[link.edge-cloud]
bandwidth = 1e8
delay_ms = 40
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_file(tmp_path: Path) -> None:
    site = load_site(write(tmp_path, GOOD))
    assert site.device == Machine(name="pi", speed=0.1, description="Zero 2")
    assert site.edge == site.cloud == Machine(name="box", speed=1.0)
    assert site.links == (
        Link(bandwidth_bps=2e7, delay_ms=5.0, jitter_ms=1.5),
        Link(bandwidth_bps=1e8, delay_ms=40.0, jitter_ms=0.0),
    )


def test_the_default_is_a_file_of_this_format(tmp_path: Path) -> None:
    site = default_site()
    assert load_site(write(tmp_path, DEFAULT_SITE_TOML)) == site
    assert (site.device.speed, site.edge.speed, site.cloud.speed) == (0.1, 1.0, 1.0)
    assert [(link.bandwidth_bps, link.delay_ms) for link in site.links] == [(2e7, 5.0), (1e8, 40.0)]


def test_a_site_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        default_site().device.speed = 2.0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("speed = 0.1", "speed = 0", r"machine\.pi\.speed: .*greater than 0; got 0"),
        ("speed = 0.1", "speed = -1.0", r"machine\.pi\.speed: .*; got -1\.0"),
        ("speed = 0.1", "speed = nan", r"machine\.pi\.speed: .*; got nan"),
        ("speed = 0.1", "speed = inf", r"machine\.pi\.speed: .*; got inf"),
        ("speed = 0.1", "speed = true", r"machine\.pi\.speed: .*; got True"),
        ("speed = 0.1", 'speed = "0.1"', r"machine\.pi\.speed: .*; got '0\.1'"),
        ("speed = 0.1", f"speed = 1{'0' * 400}", r"machine\.pi\.speed: "),
        ("speed = 0.1", "", r"machine\.pi\.speed: missing"),
        ("speed = 0.1", "speed = 0.1\ncores = 4", r"machine\.pi\.cores: unknown key"),
        ('"Zero 2"', "2", r"machine\.pi\.description: .*; got 2"),
        ("[machine.spare]\nspeed = 3.5", '[machine."a.b"]\nspeed = 0', r'machine\."a\.b"\.speed: '),
        ('bandwidth = "20M"', 'bandwidth = "20 MB/s"', r"link\.device-edge\.bandwidth: .*; got '20 MB/s'"),
        ('bandwidth = "20M"', "bandwidth = 0", r"link\.device-edge\.bandwidth: .*; got 0"),
        ('bandwidth = "20M"', "bandwidth = true", r"link\.device-edge\.bandwidth: .*; got True"),
        ('bandwidth = "20M"', "bandwidth = [1]", r"link\.device-edge\.bandwidth: .*; got \[1\]"),
        ('bandwidth = "20M"', f"bandwidth = 1{'0' * 400}", r"link\.device-edge\.bandwidth: "),
        ("delay_ms = 40", "delay_ms = -40", r"link\.edge-cloud\.delay_ms: .*; got -40"),
        ("jitter_ms = 1.5", "jitter_ms = -1", r"link\.device-edge\.jitter_ms: .*; got -1"),
        ("[link.edge-cloud]", "[link.edge-moon]", r"link\.edge-cloud: missing; link\.edge-moon: unknown key"),
        (
            'cloud = "box"',
            'cloud = "bax"',
            r"site\.cloud: there is no \[machine\.bax\]; defined are: box, pi, spare",
        ),
        ('cloud = "box"', 'cloud = "box"\nfog = "box"', r"site\.fog: unknown key"),
        ("[site]", "[sites]", r"site: missing; .*sites: unknown key"),
        ("[site]", "[site", "not a readable TOML file: .*line 2"),
        ("speed = 0.1", f"speed = 1{'0' * 5000}", "not a readable TOML file"),
        ("speed = 0.1", f"speed = {'[' * 100_000}", "not a readable TOML file"),
    ],
)
def test_a_bad_file_names_the_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert GOOD.count(old) == 1
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(ConfigError, match=message) as caught:
        load_site(path)
    assert all(line.startswith(f"{path}: ") for line in str(caught.value).splitlines())


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"none\.toml: no such file"):
        load_site(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match=r"not a readable TOML file: .*Is a directory"):
        load_site(tmp_path)
    path = tmp_path / "latin.toml"
    path.write_bytes(b'[site]\ndevice = "\xfc"\n')
    with pytest.raises(ConfigError, match=r"latin\.toml: not a readable TOML file: .*utf-8"):
        load_site(path)
