"""Configuration: addresses, and each program's object from TOML and the command line."""

import ipaddress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from splitnet.config import (
    CloudConfig,
    DeviceConfig,
    EdgeConfig,
    TierConfig,
    format_address,
    load_config,
    parse_address,
    read_toml,
)
from splitnet.errors import ConfigError, NotFoundError

HOSTS = (
    st.from_regex(r"[a-z0-9][a-z0-9.\-]{0,20}", fullmatch=True)
    | st.ip_addresses(v=4).map(str)
    | st.ip_addresses(v=6).map(ipaddress.IPv6Address).map(str)
)


@given(HOSTS, st.integers(0, 65535))
def test_addresses_round_trip(host: str, port: int) -> None:
    assert parse_address(format_address((host, port))) == (host, port)


def test_an_ipv6_host_is_written_in_brackets() -> None:
    assert format_address(("::1", 80)) == "[::1]:80"
    assert parse_address("[::1]:80") == ("::1", 80)


@pytest.mark.parametrize(
    "text", ["", "host", ":80", "[]:80", "host:", "host:x", "host:-1", "host:65536", "host:8 0", "host:٣", "h:+1"]
)
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"expected HOST:PORT .* such as 127\.0\.0\.1:8001") as caught:
        parse_address(text)
    assert repr(text) in str(caught.value)


def test_a_port_of_thousands_of_digits_is_refused_like_any_other() -> None:
    with pytest.raises(ConfigError, match="expected HOST:PORT"):
        parse_address("host:" + "1" * 5000)


@given(st.text(max_size=12))
def test_any_text_is_an_address_or_a_config_error(text: str) -> None:
    try:
        host, port = parse_address(text)
    except ConfigError:
        return
    assert host
    assert 0 <= port <= 65535


def write(folder: Path, text: str) -> Path:
    path = folder / "tier.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read_and_defaults_fill_the_rest(tmp_path: Path) -> None:
    path = write(tmp_path, 'package = "p.split"\nlisten = "[::]:8001"\nupstream = "cloud:8002"\nworkers = 3\n')
    config = load_config(EdgeConfig, path, {})
    assert config.package == Path("p.split")
    assert config.listen == ("::", 8001)
    assert config.upstream == (("cloud", 8002),)
    assert config.workers == 3
    assert config.queue_limit == TierConfig.model_fields["queue_limit"].default
    assert load_config(EdgeConfig, None, {"package": "p", "listen": "h:1"}).upstream is None


def test_the_command_line_wins_and_what_was_not_given_does_not(tmp_path: Path) -> None:
    path = write(tmp_path, 'package = "p"\nlisten = "a:1"\nworkers = 3\n')
    config = load_config(CloudConfig, path, {"listen": "b:2", "workers": None, "max_batch": 7})
    assert config.listen == ("b", 2)
    assert config.workers == 3
    assert config.max_batch == 7


def test_a_configuration_cannot_be_changed() -> None:
    config = load_config(DeviceConfig, None, {"package": "p"})
    with pytest.raises(ValidationError, match="frozen"):
        config.workers = 2


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('package = "p"\nlisten = "h:1"\nworker = 1', "worker"),
        ('package = "p"\nlisten = "h:1"\n[limits]\nqueue = 1', "limits"),
        ('listen = "h:1"', "package"),
        ('package = "p"', "listen"),
        ('package = "p"\nlisten = "h:1"\nworkers = 0', "workers"),
        ('package = "p"\nlisten = "h:1"\nworkers = "many"', "workers"),
        ('package = "p"\nlisten = "h:1"\nmax_message_bytes = 1', "max_message_bytes"),
        ('package = "p"\nlisten = "h:1"\ndeadline_ms = 0', "deadline_ms"),
        ('package = "p"\nlisten = "h:1"\ndeadline_ms = nan', "deadline_ms"),
        ('package = "p"\nlisten = "h:1"\ngrace_s = inf', "grace_s"),
        ('package = "p"\nlisten = "h:1"\nemulated_speed = 1.5', "emulated_speed"),
        ('package = 3\nlisten = "h:1"', "package"),
        ('package = "p"\nlisten = "h"', "listen"),
        ('package = "p"\nlisten = ["h", 70000]', "listen"),
        ('package = "p"\nlisten = 8001', "listen"),
        ('package = "p"\nlisten = "h:1"\nupstream = "h:1"', "upstream"),
    ],
)
def test_a_wrong_key_is_named_with_its_file(text: str, field: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(CloudConfig, path, {})
    assert str(caught.value).startswith(f"{path}: {field}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("overrides", "field"), [({"package": "p", "windows": 1}, "windows"), ({}, "package")])
def test_a_wrong_option_is_named(overrides: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError, match=f"command line: {field}: "):
        load_config(DeviceConfig, None, overrides)


@pytest.mark.parametrize(
    "limits", [{"window": 4, "in_flight": 5}, {"queue_limit": 4, "in_flight": 5}, {"window": 4, "queue_limit": 4}]
)
def test_a_device_has_no_more_in_flight_than_it_can_hold(limits: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=r"in_flight \d is more than window or queue_limit allow \(4\)"):
        load_config(DeviceConfig, None, {"package": "p"} | limits)
    assert load_config(DeviceConfig, None, {"package": "p"} | limits | {"in_flight": 4}).in_flight == 4


@pytest.mark.parametrize(
    "content",
    [
        b"package = ",
        b"package = 'p'\npackage = 'q'",
        b"\xff\xfe",
        b"workers = " + b"1" * 5000,
        b"x = " + b"[" * 5000,
        b"\0",
    ],
    ids=["no value", "twice", "not UTF-8", "too many digits", "too deep", "zero byte"],
)
def test_what_is_no_toml_is_refused_with_its_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tier.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="not a readable TOML file"):
        read_toml(path)


def test_a_syntax_error_tells_line_and_column(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="line 2, column"):
        read_toml(write(tmp_path, "package = 'p'\nworkers == 3\n"))


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"none\.toml: no such file"):
        read_toml(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="not a readable TOML file"):
        read_toml(tmp_path)
