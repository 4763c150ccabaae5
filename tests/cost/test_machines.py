"""The library of machines, this machine, and machines written to files."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitnet.cost import Hardware, MachineEntry, library, machine_toml, this_machine
from splitnet.cost.hardware import _facts
from splitnet.errors import InvalidArgumentError
from splitnet.partition.reference import REFERENCE_FLOPS

COMMON = settings(derandomize=True, deadline=None)
BOARD = Hardware("box", 'Cortex "A7"\\', 4, 2**30, ("dotprod", "neon"))


@pytest.mark.parametrize("name", library())
def test_every_machine_has_a_speed_and_says_where_it_is_from(name: str) -> None:
    entry = library()[name]
    assert entry.gflops is not None
    assert entry.speed is None
    assert entry.description
    assert entry.source
    assert entry.precisions


@pytest.mark.parametrize(
    "name", [name for name, entry in library().items() if "float32" in (entry.precisions or ())]
)
def test_speeds_follow_from_the_published_times(name: str) -> None:
    entry = library()[name]
    (ms,) = re.findall(r"MobileNet in ([\d.]+) ms", entry.source or "")
    assert entry.gflops == pytest.approx(REFERENCE_FLOPS / float(ms) / 1e6, abs=0.006)


def test_the_microcontroller_follows_from_its_operations() -> None:
    entry = library()["stm32h7a3"]
    mflop, rate = map(float, re.findall(r"of ([\d.]+) MFLOP, ([\d.]+) times a second", entry.source or "")[0])
    assert entry.precisions == ("int8",)
    assert entry.gflops == pytest.approx(mflop * rate / 1e3, rel=0.01)
    assert entry.watts == pytest.approx(6928e-6 * rate, rel=0.02)


def test_this_machine_is_something() -> None:
    found = this_machine()
    assert found.name
    assert found.cores >= 1
    assert found.memory_bytes is None or found.memory_bytes > 2**20
    assert list(found.instructions) == sorted(set(found.instructions))


def test_cpuinfo_of_arm_is_read() -> None:
    text = "processor\t: 0\nFeatures\t: fp asimd asimddp\n\nHardware\t: BCM2835\nModel\t\t: Raspberry Pi 4: B\n"
    assert dict(_facts(text)) == {
        "processor": "0",
        "features": "fp asimd asimddp",
        "hardware": "BCM2835",
        "model": "Raspberry Pi 4: B",
    }


def read(section: str) -> tuple[str, MachineEntry]:
    ((name, values),) = tomllib.loads(section)["machine"].items()
    return name, MachineEntry.model_validate(values)


def test_a_measured_machine_is_a_section_of_a_deployment_file() -> None:
    name, entry = read(machine_toml(BOARD, 12.3456, name="my-box_2"))
    assert name == "my-box_2"
    assert (entry.gflops, entry.memory, entry.cores) == (12.3, 2**30, 4)
    assert entry.description == 'Cortex "A7"\\; dotprod, neon'
    assert "one thread" in (entry.source or "")
    assert "memory" not in machine_toml(replace(BOARD, memory_bytes=None), 1.0, name="box")


@COMMON
@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_description_survives(cpu: str) -> None:
    _, entry = read(machine_toml(replace(BOARD, cpu=cpu, instructions=()), 1.0, name="box"))
    assert entry.description == cpu


@pytest.mark.parametrize("name", ["", "a.b", "my box", "é", "a\n"])
def test_a_name_that_is_no_key(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="name"):
        machine_toml(BOARD, 1.0, name=name)


def test_the_library_is_shipped() -> None:
    assert (Path(machine_toml.__code__.co_filename).parent / "machines.toml").is_file()
