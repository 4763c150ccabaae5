"""Deployment files, good and bad."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from splitnet.cost import DEFAULT_SITE_TOML, Link, Machine, Trace, default_site, library, load_site
from splitnet.errors import ConfigError, InvalidArgumentError, NotFoundError

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
        ("speed = 0.1", "speed = 0", r"machine\.pi\.speed: .*above 0, got 0"),
        ("speed = 0.1", "speed = -1.0", r"machine\.pi\.speed: .*, got -1\.0"),
        ("speed = 0.1", "speed = nan", r"machine\.pi\.speed: .*, got nan"),
        ("speed = 0.1", "speed = inf", r"machine\.pi\.speed: .*, got inf"),
        ("speed = 0.1", "speed = true", r"machine\.pi\.speed: .*, got true"),
        ("speed = 0.1", 'speed = "0.1"', r"machine\.pi\.speed: .*, got '0\.1'"),
        ("speed = 0.1", f"speed = 1{'0' * 400}", r"machine\.pi\.speed: "),
        ("speed = 0.1", "", r"machine\.pi: no speed; give speed .* or library"),
        ("speed = 0.1", "speed = 0.1\ngflops = 2.5", r"machine\.pi: both speed and gflops"),
        ("speed = 0.1", "gflops = 2.5", r"site\.device: machine\.pi: 2\.5 GFLOP/s, .* give `speed`"),
        ("speed = 0.1", "speed = 0.1\nclock = 4", r"machine\.pi\.clock: unknown key"),
        ("speed = 0.1", "speed = 0.1\ncores = 0", r"machine\.pi\.cores: .*, got 0"),
        ("speed = 0.1", "speed = 0.1\nwatts = -1", r"machine\.pi\.watts: .*, got -1"),
        ("speed = 0.1", "speed = 0.1\nmemory = '12 apples'", r"machine\.pi\.memory: .*, got '12 apples'"),
        ("speed = 0.1", "speed = 0.1\nmemory = 0", r"machine\.pi\.memory: .*, got 0"),
        ("speed = 0.1", "speed = 0.1\nmemory = true", r"machine\.pi\.memory: .*, got true"),
        ("speed = 0.1", "speed = 0.1\nprecisions = []", r"machine\.pi\.precisions: "),
        ("speed = 0.1", "speed = 0.1\nprecisions = ['int4']", r"machine\.pi\.precisions\[0\]: .*, got 'int4'"),
        ("speed = 0.1", "library = 'raspberry'", r"machine\.pi\.library: .*'raspberry'.*: raspberry-pi-4, "),
        ("delay_ms = 40", "", r"link\.edge-cloud: expected either delay_ms, one way, or rtt_ms"),
        ("delay_ms = 40", "delay_ms = 40\nrtt_ms = 80", r"link\.edge-cloud: expected either delay_ms"),
        ("bandwidth = 1e8", "", r"link\.edge-cloud: expected either bandwidth or trace"),
        ("bandwidth = 1e8", "bandwidth = 1e8\ntrace = 'a.csv'", r"link\.edge-cloud: expected either bandwidth"),
        ("bandwidth = 1e8", "bandwidth = 1e8\ntrace_s = 3", r"link\.edge-cloud: trace_s is the length of a trace"),
        ("delay_ms = 40", "delay_ms = 40\nenergy_mj_per_byte = -1", r"edge-cloud\.energy_mj_per_byte: .*, got -1"),
        ('"Zero 2"', "2", r"machine\.pi\.description: .*, got 2"),
        ("[machine.spare]\nspeed = 3.5", '[machine."a.b"]\nspeed = 0', r'machine\."a\.b"\.speed: '),
        ('bandwidth = "20M"', 'bandwidth = "20 MB/s"', r"link\.device-edge\.bandwidth: .*, got '20 MB/s'"),
        ('bandwidth = "20M"', "bandwidth = 0", r"link\.device-edge\.bandwidth: .*, got 0"),
        ('bandwidth = "20M"', "bandwidth = true", r"link\.device-edge\.bandwidth: .*, got true"),
        ('bandwidth = "20M"', "bandwidth = [1]", r"link\.device-edge\.bandwidth: .*, got \[1\]"),
        ('bandwidth = "20M"', f"bandwidth = 1{'0' * 400}", r"link\.device-edge\.bandwidth: "),
        ("delay_ms = 40", "delay_ms = -40", r"link\.edge-cloud\.delay_ms: .*, got -40"),
        ("jitter_ms = 1.5", "jitter_ms = -1", r"link\.device-edge\.jitter_ms: .*, got -1"),
        ("[link.edge-cloud]", "[link.edge-moon]", r"link\.edge-cloud: missing, .*; link\.edge-moon: unknown key"),
        (
            'cloud = "box"',
            'cloud = "bax"',
            r"site\.cloud: .*\[machine\.bax\]; defined are: box, pi, spare; the library has: raspberry-pi-4, ",
        ),
        ('cloud = "box"', 'cloud = "box"\nfog = "box"', r"site\.fog: unknown key"),
        ("[site]", "[sites]", r"site: missing, .*; sites: unknown key, did you mean site\?"),
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


MACHINES = """
[machine.pi]
library = "raspberry-pi-4"
memory = "1.5Gi"
description = "in the cellar"

[machine.box]
gflops = 100
watts = 12.5
precisions = ["float32", "float16", "int8"]
cores = 4
source = "measured"
"""


def included(folder: Path, text: str = MACHINES) -> Path:
    (folder / "machines.toml").write_text(text, encoding="utf-8")
    own = GOOD.replace("[site]", '[site]\nmachines = ["machines.toml"]').replace("[machine.pi]", "[machine.old]")
    return write(folder, own.replace("[machine.box]", "[machine.older]"))


def test_machines_of_another_file_with_absolute_speeds(tmp_path: Path) -> None:
    asked: list[str] = []

    def measure() -> float:
        asked.append("once")
        return 50.0

    site = load_site(included(tmp_path), measure)
    assert site.edge == site.cloud
    assert site.edge == Machine(
        name="box",
        speed=2.0,
        watts=12.5,
        precisions=("float32", "float16", "int8"),
        cores=4,
        source="measured",
    )
    known = library()["raspberry-pi-4"]
    assert known.gflops is not None
    assert site.device.name == "pi"
    assert site.device.speed == pytest.approx(known.gflops / 50)
    assert site.device.memory_bytes == 3 * 2**29
    assert (site.device.watts, site.device.cores, site.device.source) == (known.watts, known.cores, known.source)
    assert site.device.description == "in the cellar"
    assert asked == ["once"]


def test_a_speed_of_ones_own_stands_against_the_library(tmp_path: Path) -> None:
    text = GOOD.replace("speed = 0.1", 'speed = 0.25\nlibrary = "raspberry-pi-5"')
    device = load_site(write(tmp_path, text)).device  # nothing is measured
    assert (device.speed, device.description, device.cores) == (0.25, "Zero 2", library()["raspberry-pi-5"].cores)


def test_a_name_of_the_library_needs_no_section(tmp_path: Path) -> None:
    text = GOOD.replace('device = "pi"', 'device = "stm32h7a3"')
    site = load_site(write(tmp_path, text), lambda: 30.0)
    assert site.device.precisions == ("int8",)
    assert site.device.speed == pytest.approx(0.01)


def test_a_machine_that_two_files_define(tmp_path: Path) -> None:
    path = included(tmp_path, "[machine.spare]\nspeed = 1\n")
    with pytest.raises(ConfigError, match=r"machines\.toml: machine\.spare: defined in .*site\.toml as well"):
        load_site(path)


def test_a_file_of_machines_is_checked_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"machines\.toml: machine\.pi\.watts: .*, got 'much'"):
        load_site(included(tmp_path, '[machine.pi]\nspeed = 1\nwatts = "much"\n'))
    (tmp_path / "machines.toml").unlink()
    with pytest.raises(NotFoundError, match=r"machines\.toml: no such file"):
        load_site(tmp_path / "site.toml")


def test_a_round_trip_is_two_delays_and_a_trace_its_mean(tmp_path: Path) -> None:
    (tmp_path / "lte.csv").write_text("seconds,bits_per_second\n0,10M\n1,20M\n", encoding="utf-8")
    text = GOOD.replace("delay_ms = 40", "rtt_ms = 70\nenergy_mj_per_byte = 0.002").replace(
        "bandwidth = 1e8", 'trace = "lte.csv"\ntrace_s = 2.0'
    )
    near, far = load_site(write(tmp_path, text)).links
    assert near.trace is None
    assert near.quantile_bps(0.1) == near.bandwidth_bps
    assert (far.delay_ms, far.energy_mj_per_byte) == (35.0, 0.002)
    assert far.bandwidth_bps == pytest.approx(2 / (1 / 1e7 + 1 / 2e7))
    assert far.trace == Trace((0.0, 1.0), (1e7, 2e7), 2.0)
    assert (far.quantile_bps(0.5), far.quantile_bps(0.51)) == (1e7, 2e7)
    with pytest.raises(InvalidArgumentError, match=r"quantile 1\.5"):
        near.quantile_bps(1.5)
