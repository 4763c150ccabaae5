"""Leg messages over Flower's records and through Flower's own serialisation."""

import io

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from flwr.common.serde import recorddict_from_proto, recorddict_to_proto
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from splitnet.errors import PeerProtocolError
from splitnet.learn.flower.records import from_records, to_records
from splitnet.learn.legs import LegMessage

VECTORS = st.dictionaries(
    st.sampled_from(["parameters", "masked", "update", "body"]),
    st.one_of(
        arrays.arrays(np.float32, st.integers(0, 40), elements=st.floats(width=32)),
        arrays.arrays(np.uint32, st.integers(0, 40)),
        arrays.arrays(np.uint64, st.integers(0, 40)),
    ),
)


@given(
    header=st.binary(max_size=50), body=st.sampled_from([b"", b"x", b"y" * 65_536, b"z" * 65_537]), vectors=VECTORS
)
def test_round_trip(header: bytes, body: bytes, vectors: dict[str, np.ndarray]) -> None:
    records = to_records(LegMessage(header, body, vectors))
    back = from_records(recorddict_from_proto(recorddict_to_proto(records)))
    assert (back.header, back.body, back.vectors.keys()) == (header, body, vectors.keys())
    for name, vector in vectors.items():
        assert back.vectors[name].dtype == vector.dtype
        np.testing.assert_array_equal(back.vectors[name], vector)


def test_large_things_are_never_in_a_config_record() -> None:
    message = LegMessage(b"{}", b"b" * 100_000, {"masked": np.zeros(100_000, np.uint32)})
    records = to_records(message)
    assert sum(record.count_bytes() for record in records.config_records.values()) < 1000
    size = sum(array.numpy().nbytes for record in records.array_records.values() for array in record.values())
    assert size == 100_000 + 400_000


@pytest.mark.parametrize(
    "records",
    [
        RecordDict(),
        RecordDict({"splitnet": ConfigRecord({"header": b"{}"})}),
        RecordDict({"splitnet": ConfigRecord({"header": "text", "body": b""})}),
        RecordDict({"other": ConfigRecord({"header": b"", "body": b""})}),
    ],
)
def test_other_records_are_refused(records: RecordDict) -> None:
    with pytest.raises(PeerProtocolError, match="Flower message"):
        from_records(records)


def _npz() -> bytes:
    content = io.BytesIO()
    np.savez(content, x=np.zeros(3))
    return content.getvalue()


_HUGE = b"{'descr': '<u4', 'fortran_order': False, 'shape': (9999999999999,), }"


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("torch", b"x"),
        ("numpy.ndarray", b""),
        ("numpy.ndarray", b"junk"),
        ("numpy.ndarray", _npz()),
        ("numpy.ndarray", b"PK\x03\x04junk"),
        ("numpy.ndarray", b"\x93NUMPY\x01\x00\x02\x00{("),
        ("numpy.ndarray", b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + _HUGE.ljust(117) + b"\n"),
    ],
    ids=["stype", "empty", "junk", "npz", "zip", "header", "huge"],
)
def test_an_array_of_nonsense_is_refused(kind: str, content: bytes) -> None:
    records = RecordDict({"splitnet": ConfigRecord({"header": b"{}", "body": b""})})
    records["splitnet.arrays"] = ArrayRecord({"vector.masked": Array("<u4", (3,), kind, content)})
    with pytest.raises(PeerProtocolError, match=r"array 'vector\.masked'"):
        from_records(records)
