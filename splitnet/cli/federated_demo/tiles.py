"""The fleet's tiles: which device sees which, and which half of them before it has learned."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from splitnet.errors import InvalidArgumentError
from splitnet.samples import Samples, read_samples
from splitnet.tensors import TensorSpec

#: A secure sum over fewer devices would hide little.
LEAST_DEVICES = 6
#: Each device is a Flower node, with a process of its own for every message.
MOST_DEVICES = 10

Half: TypeAlias = Literal["before", "after"]
_Indices: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class DeviceTiles:
    """One device of the fleet.

    Attributes:
        name: what the roster calls it.
        halves: which of the samples it serves before and after learning, as indices.
    """

    name: str
    halves: dict[Half, _Indices]


@dataclass(frozen=True, slots=True)
class FleetTiles:
    """All devices and the samples that they share out.

    Attributes:
        samples: of all lines, with labels.
        devices: each with its part.
    """

    samples: Samples
    devices: tuple[DeviceTiles, ...]

    def of(self, device: DeviceTiles, half: Half) -> Samples:
        """Return the samples that `device` serves in that half."""
        which = device.halves[half]
        assert self.samples.labels is not None
        taken = self.samples.take(which.tolist())
        return Samples(self.samples.specs, taken, self.samples.labels[which], len(which))

    def all_of(self, half: Half) -> Samples:
        """Return the samples of that half, device after device."""
        which = np.concatenate([device.halves[half] for device in self.devices])
        return self.of(DeviceTiles("all", {half: which}), half)


def read_fleet(path: Path, specs: tuple[TensorSpec, ...], lines: tuple[int, ...] | None) -> FleetTiles:
    """Read tiles and give them to devices by production line, large lines to several.

    Args:
        path: `.npz` with the model's inputs, `labels` and `line` (integers), one each a tile.
        specs: the model's inputs.
        lines: use these lines only; None uses all.

    Raises:
        NotFoundError: there is no such file.
        InvalidArgumentError: it holds something else, or too few tiles for a fleet.
    """
    samples = read_samples(path, specs)
    if samples.labels is None:
        raise InvalidArgumentError(f"{path}: has no array 'labels', against which the fleet is judged")
    line = _lines(path, samples.count)
    wanted = sorted(set(line.tolist()) if lines is None else set(lines))
    parts = _deal({name: np.flatnonzero(line == name) for name in wanted})
    if min((len(half) for device in parts for half in device.halves.values()), default=0) == 0:
        raise InvalidArgumentError(
            f"{path}: too few tiles of lines {wanted} for {LEAST_DEVICES} devices, each with some in both halves; "
            f"expected at least {2 * LEAST_DEVICES} tiles, got {sum(int((line == name).sum()) for name in wanted)}"
        )
    return FleetTiles(samples, parts)


def _lines(path: Path, count: int) -> NDArray[np.integer]:
    with np.load(path, allow_pickle=False) as arrays:
        line: NDArray[np.integer] | None = arrays["line"] if "line" in arrays.files else None
    if line is None or line.shape != (count,) or not np.issubdtype(line.dtype, np.integer):
        found = "none" if line is None else f"{line.dtype} {list(line.shape)}"
        raise InvalidArgumentError(f"{path}: array 'line': expected one integer a tile, [{count}], got {found}")
    return line


def _deal(lines: dict[int, _Indices]) -> tuple[DeviceTiles, ...]:
    """Give each line a device, then one more to whichever has most tiles a device, until there are enough."""
    groups = _grouped(lines)
    count = dict.fromkeys(groups, 1)
    while sum(count.values()) < LEAST_DEVICES and groups:
        count[max(groups, key=lambda name: sum(map(len, groups[name])) / count[name])] += 1
    return tuple(
        DeviceTiles(
            f"{name}-{number}" if count[name] > 1 else name, _halves(groups[name], number - 1, count[name])
        )
        for name in groups
        for number in range(1, count[name] + 1)
    )


def _grouped(lines: dict[int, _Indices]) -> dict[str, list[_Indices]]:
    """Put the smallest lines together on a device where there are more lines than devices."""
    groups = [([name], [which]) for name, which in lines.items()]
    while len(groups) > MOST_DEVICES:
        groups.sort(key=lambda group: -sum(map(len, group[1])))
        (names, parts), (more, others) = groups.pop(), groups.pop()
        groups.append((more + names, others + parts))
    return {_named(names): parts for names, parts in groups}


def _named(lines: list[int]) -> str:
    return f"line-{lines[0]}" + (f"-and-{len(lines) - 1}-more" if len(lines) > 1 else "")


def _halves(lines: list[_Indices], index: int, devices: int) -> dict[Half, _Indices]:
    """The device's part of each line's first and second half, in the file's order."""
    first = [which[: len(which) // 2][index::devices] for which in lines]
    second = [which[len(which) // 2 :][index::devices] for which in lines]
    return {"before": np.concatenate(first), "after": np.concatenate(second)}
