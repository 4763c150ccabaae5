"""`splitnet emulate` as a process of its own."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from splitnet.config import format_address, parse_address
from tests.emulate.peers import TIMEOUT_S, connect, echo, receive, receive_all, serving

ROOT = Path(__file__).parents[2]


@contextmanager
def emulating(*options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-W", "error::ResourceWarning", "-m", "splitnet", "emulate", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_carries_bytes_until_it_is_told_to_stop(number: signal.Signals) -> None:
    with serving(echo) as target:
        to = format_address(target)
        with emulating("--listen", "127.0.0.1:0", "--to", to, "--bandwidth", "20M", "--delay", "30ms") as process:
            ready = re.fullmatch(r"listening on (127\.0\.0\.1:\d+)\n", first_line(process))
            assert ready
            with connect(parse_address(ready[1])) as client:
                started_s = time.perf_counter()
                client.sendall(b"hello")
                assert receive(client, 5) == b"hello"
                assert time.perf_counter() - started_s >= 0.06
                process.send_signal(number)
                out, err = process.communicate(timeout=TIMEOUT_S)
                assert receive_all(client) == b""
    assert (process.returncode, err) == (0, "")
    assert out == "up 5 bytes, down 5 bytes, 1 connections\n"


def test_json_is_one_object_a_line() -> None:
    with serving(echo) as target:
        options = ["--listen", "127.0.0.1:0", "--to", format_address(target), "--delay", "2ms", "--jitter", "1ms"]
        with emulating(*options, "--seed", "4", "--json") as process:
            address = json.loads(first_line(process))["listening"]
            for _ in range(2):
                with connect(parse_address(address)) as client:
                    client.sendall(b"hello")
                    assert receive(client, 5) == b"hello"
            process.terminate()
            out, err = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out) == {"up_bytes": 10, "down_bytes": 10, "connections": 2}


def test_a_trace_and_faults_are_played_from_the_beginning(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("seconds,bits_per_second\n0,80k\n1000,1\n1001,1\n")
    faults = ["--fault", "slice 1000 10ms up", "--fault", "delay 50ms down"]
    with serving(echo) as target:
        to = format_address(target)
        with emulating("--listen", "127.0.0.1:0", "--to", to, "--trace", str(trace), *faults, "--json") as process:
            address = json.loads(first_line(process))["listening"]
            with connect(parse_address(address)) as client:
                started_s = time.perf_counter()
                client.sendall(bytes(2000))
                assert len(receive(client, 2000)) == 2000
                # 0.2 s up at 80 kbit/s, and the last piece down; without the trace 0.06 s.
                assert time.perf_counter() - started_s >= 0.25
            process.terminate()
            _, err = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, err) == (0, "")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--bandwidth", "fast"], "fast"),
        (["--bandwidth", "0"], "above zero"),
        (["--delay", "5"], "the duration '5' has no unit"),
        (["--delay", "5ms", "--jitter", "6ms"], "must not be larger than the delay"),
        (["--to", "nowhere"], "address 'nowhere': expected HOST:PORT"),
        (["--listen", "127.0.0.1:70000"], "port of 0 to 65535"),
        (["--fault", "earthquake"], "fault 'earthquake': expected drop, refuse"),
        (["--trace", "nowhere.csv"], "nowhere.csv: no such file"),
        (["--trace", "nowhere.csv", "--bandwidth", "1M"], "choose one"),
        (["--listen", "192.0.2.1:1"], "cannot listen on 192.0.2.1:1"),
    ],
)
def test_a_bad_value_is_one_clear_line(wrong: list[str], message: str) -> None:
    with emulating("--listen", "127.0.0.1:0", "--to", "127.0.0.1:1", *wrong) as process:
        out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode in (2, 3)
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("splitnet: ")
    assert message in err
