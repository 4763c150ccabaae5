"""Samples from .npz files, good and bad."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splitnet.errors import InvalidArgumentError, NotFoundError
from splitnet.samples import read_samples
from splitnet.tensors import BATCH, Array, TensorSpec

X = TensorSpec("x", "float32", (BATCH, 3))
Z = TensorSpec("z", "int64", (2, BATCH))
TABLE = TensorSpec("table", "float32", (4,))
ROWS = np.arange(15, dtype=np.float32).reshape(5, 3)
COLUMNS = np.arange(10).reshape(2, 5)


def save(folder: Path, **arrays: Any) -> Path:
    path = folder / "samples.npz"
    np.savez(path, **arrays)
    return path


def test_inputs_and_labels_are_read_and_other_arrays_left_alone(tmp_path: Path) -> None:
    labels = np.array([0, 1, 2, 1, 0])
    path = save(tmp_path, x=ROWS, z=COLUMNS, table=ROWS[0, :1].repeat(4), labels=labels, more=np.zeros(9))
    samples = read_samples(path, (X, Z, TABLE))
    assert samples.count == 5
    assert set(samples.inputs) == {"x", "z", "table"}
    assert np.array_equal(samples.inputs["z"], COLUMNS)
    assert samples.labels is not None
    assert samples.labels.tolist() == labels.tolist()


def test_without_labels_there_are_none(tmp_path: Path) -> None:
    assert read_samples(save(tmp_path, x=ROWS), (X,)).labels is None


def test_without_a_batch_axis_the_file_holds_one_sample(tmp_path: Path) -> None:
    samples = read_samples(save(tmp_path, table=np.zeros(4, np.float32), labels=np.array([3])), (TABLE,))
    assert samples.count == 1
    assert samples.take([0, 0])["table"].shape == (4,)


def test_samples_are_taken_along_each_batch_axis_and_wrap_around(tmp_path: Path) -> None:
    taken = read_samples(save(tmp_path, x=ROWS, z=COLUMNS), (X, Z)).take([4, 5, 11])
    assert np.array_equal(taken["x"], ROWS[[4, 0, 1]])
    assert np.array_equal(taken["z"], COLUMNS[:, [4, 0, 1]])


@pytest.mark.parametrize(("limit", "count"), [(1, 1), (3, 3), (5, 5), (99, 5)])
def test_the_limit_keeps_the_first_samples(limit: int, count: int, tmp_path: Path) -> None:
    path = save(tmp_path, x=ROWS, z=COLUMNS, labels=np.arange(5))
    samples = read_samples(path, (X, Z), limit=limit)
    assert samples.count == count
    assert np.array_equal(samples.inputs["x"], ROWS[:count])
    assert np.array_equal(samples.inputs["z"], COLUMNS[:, :count])
    assert samples.labels is not None
    assert samples.labels.tolist() == list(range(count))


def test_a_missing_array_is_named_with_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"no array 'z'.*\['x', 'z'\].*\['x', 'y'\]"):
        read_samples(save(tmp_path, x=ROWS, y=COLUMNS), (X, Z))


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"x": ROWS.astype(np.float64)}, "tensor 'x': expected float32, got float64"),
        ({"x": ROWS[:, :2]}, "tensor 'x': expected shape"),
        ({"x": ROWS[0, 0]}, "tensor 'x': expected shape"),
        ({"x": ROWS[:0]}, "tensor 'x': the batch is empty"),
        ({"x": ROWS, "labels": np.arange(4)}, r"labels: expected integers \[5\], got int64 \[4\]"),
        ({"x": ROWS, "labels": np.zeros(5)}, r"labels: expected integers \[5\], got float64"),
        ({"x": ROWS, "labels": np.zeros((5, 1), int)}, r"labels: expected integers \[5\], got int64 \[5, 1\]"),
        ({"x": ROWS, "labels": 3}, r"labels: expected integers \[5\], got int64 \[\]"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_by_file_and_name(
    arrays: dict[str, Array], text: str, tmp_path: Path
) -> None:
    path = save(tmp_path, **arrays)
    with pytest.raises(InvalidArgumentError, match=text) as caught:
        read_samples(path, (X,))
    assert str(path) in str(caught.value)


def test_inputs_of_different_lengths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"samples\.npz: tensors disagree on the number of samples"):
        read_samples(save(tmp_path, x=ROWS, z=COLUMNS[:, :3]), (X, Z))


def test_a_single_array_is_no_samples(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", ROWS)
    with pytest.raises(InvalidArgumentError, match=r"one\.npy: a single array; expected an \.npz .*\['x'\]"):
        read_samples(tmp_path / "one.npy", (X,))


class Trap:
    """Whoever unpickles it has lost."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("a pickled object was loaded",)


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    path = save(tmp_path, x=np.array([Trap()], dtype=object))
    with pytest.raises(InvalidArgumentError, match=r"samples\.npz: not a readable \.npz file"):
        read_samples(path, (X,))


def test_a_zip_member_that_is_no_array_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "samples.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", b"no array")
    with pytest.raises(InvalidArgumentError, match="'x' is not an array"):
        read_samples(path, (X,))


def test_a_member_whose_header_is_no_python_is_refused(tmp_path: Path) -> None:
    path, header = tmp_path / "samples.npz", b"{'descr': ((((".ljust(117) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(InvalidArgumentError, match="not a readable"):
        read_samples(path, (X,))


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"none\.npz: no such file"):
        read_samples(tmp_path / "none.npz", (X,))
    with pytest.raises(InvalidArgumentError, match="not a readable"):
        read_samples(tmp_path, (X,))


def packed(*, compressed: bool) -> bytes:
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, x=ROWS, labels=np.arange(5))
    return buffer.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_truncated_file_is_refused(compressed: bool, data: st.DataObject, tmp_path: Path) -> None:  # noqa: FBT001
    content = packed(compressed=compressed)
    path = tmp_path / "samples.npz"
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(InvalidArgumentError, match="not a readable"):
        read_samples(path, (X,))


@pytest.mark.parametrize("compressed", [False, True])
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
def test_an_altered_file_is_read_unharmed_or_refused(
    compressed: bool,  # noqa: FBT001  (pytest's parameter)
    data: st.DataObject,
    tmp_path: Path,
) -> None:
    content = bytearray(packed(compressed=compressed))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "samples.npz"
    path.write_bytes(content)
    try:
        samples = read_samples(path, (X,))
    except InvalidArgumentError as err:
        assert str(path) in str(err)  # noqa: PT017  (either end is right)
    else:
        assert np.array_equal(samples.inputs["x"], ROWS)
