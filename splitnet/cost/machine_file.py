"""A measured machine as a section that a deployment file can take."""

import json
import re

from splitnet.cost.hardware import Hardware
from splitnet.errors import InvalidArgumentError

#: What TOML takes as a key without quotes.
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_SOURCE = "splitnet profile --machine: MobileNet 1.0 for 224x224 pixels, float32, one thread, median"


def machine_toml(hardware: Hardware, gflops: float, *, name: str) -> str:
    """Return a `[machine.NAME]` section.

    `memory` is what the machine has: a program that shares it with others should be allowed less. `watts` is left
    to the person with the meter.

    Args:
        hardware: the machine.
        gflops: its speed, as measured.
        name: what to call it.

    Raises:
        InvalidArgumentError: the name holds anything but letters, digits, "-" and "_".
    """
    if not _NAME.fullmatch(name):
        raise InvalidArgumentError(f"name {name!r}: expected ASCII letters, digits, '-' and '_'")
    described = "; ".join(part for part in (hardware.cpu, ", ".join(hardware.instructions)) if part)
    fields: dict[str, str | float | list[str] | None] = {
        "gflops": float(f"{gflops:.3g}"),
        "memory": hardware.memory_bytes,
        "precisions": ["float32", "int8"],
        "cores": hardware.cores,
        "description": described,
        "source": _SOURCE,
    }
    lines = (f"{key} = {_value(value)}" for key, value in fields.items() if value is not None)
    return "\n".join((f"[machine.{name}]", *lines, ""))


def _value(value: str | float | list[str]) -> str:
    """Text, numbers and arrays are written alike in JSON and TOML, but for U+007F, which TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
