"""Which device sees which tiles: all of a line's, each once, its first half before its second."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitnet.cli.federated_demo.tiles import LEAST_DEVICES, MOST_DEVICES, FleetTiles, read_fleet
from splitnet.errors import InvalidArgumentError, NotFoundError
from splitnet.tensors import BATCH, TensorSpec

SPECS = (TensorSpec("x", "float32", (BATCH, 2)),)


def fleet_of(path: Path, tiles_by_line: Mapping[int, int], lines: tuple[int, ...] | None = None) -> FleetTiles:
    line = np.repeat(list(tiles_by_line), list(tiles_by_line.values())).astype(np.uint32)
    # Each tile's value says where it stands in the file.
    x = np.repeat(np.arange(len(line), dtype=np.float32)[:, None], 2, axis=1)
    np.savez(path, x=x, labels=np.arange(len(line)) % 7, line=line)
    return read_fleet(path, SPECS, lines)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(12, 80), min_size=1, max_size=14))
def test_every_tile_is_served_once_by_a_device_of_a_bounded_fleet(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    fleet = fleet_of(tmp_path_factory.mktemp("tiles") / "tiles.npz", dict(enumerate(sizes, start=1)))
    assert LEAST_DEVICES <= len(fleet.devices) <= MOST_DEVICES
    assert len({device.name for device in fleet.devices}) == len(fleet.devices)
    served = np.concatenate([which for device in fleet.devices for which in device.halves.values()])
    assert sorted(served.tolist()) == list(range(sum(sizes)))


def test_the_first_half_of_a_line_comes_before_its_second(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path / "tiles.npz", {7: 40, 8: 24}, lines=(7,))
    before = np.concatenate([device.halves["before"] for device in fleet.devices])
    after = np.concatenate([device.halves["after"] for device in fleet.devices])
    assert sorted(before.tolist()) == list(range(20))
    assert sorted(after.tolist()) == list(range(20, 40))


def test_a_large_line_is_shared_among_more_devices(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path / "tiles.npz", {1: 200, 2: 100, 3: 40})
    names = [device.name.rsplit("-", 1)[0] for device in fleet.devices if device.name.count("-") == 2]
    assert names.count("line-1") == 3
    assert names.count("line-2") == 2


def test_samples_carry_their_labels(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path / "tiles.npz", {1: 30})
    whole = fleet.all_of("after")
    assert whole.labels is not None
    np.testing.assert_array_equal(whole.labels, whole.inputs["x"][:, 0].astype(int) % 7)


def test_a_file_without_lines_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.zeros((20, 2), np.float32), labels=np.zeros(20, int))
    with pytest.raises(InvalidArgumentError, match="array 'line': expected one integer a tile"):
        read_fleet(tmp_path / "t.npz", SPECS, None)


def test_a_file_without_labels_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.zeros((20, 2), np.float32), line=np.zeros(20, int))
    with pytest.raises(InvalidArgumentError, match="no array 'labels'"):
        read_fleet(tmp_path / "t.npz", SPECS, None)


@pytest.mark.parametrize("lines", [(9,), None])
def test_too_few_tiles_are_refused(tmp_path: Path, lines: tuple[int, ...] | None) -> None:
    with pytest.raises(InvalidArgumentError, match="too few tiles"):
        fleet_of(tmp_path / "t.npz", {1: 5}, lines)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"none\.npz"):
        read_fleet(tmp_path / "none.npz", SPECS, None)
