"""The protocol's names of element types and numpy's are one table, read from both sides."""

import pytest

from splitnet.errors import InvalidArgumentError
from splitnet.protocol import from_datatype, to_datatype
from splitnet.tensors import DTYPES


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_carried_type_has_a_name(dtype: str) -> None:
    assert from_datatype(to_datatype(dtype)) == dtype


def test_names_are_the_protocols() -> None:
    assert [to_datatype(dtype) for dtype in ("bool", "uint8", "int64", "float16", "float32", "float64")] == [
        "BOOL",
        "UINT8",
        "INT64",
        "FP16",
        "FP32",
        "FP64",
    ]


@pytest.mark.parametrize(
    ("datatype", "reason"),
    [("BYTES", "a string has no fixed size"), ("BF16", "numpy has no bfloat16"), ("fp32", ""), ("", "")],
)
def test_other_datatypes_are_refused_by_name(datatype: str, reason: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"datatype '{datatype}' is not supported.*{reason}.*FP32"):
        from_datatype(datatype)


@pytest.mark.parametrize("dtype", ["complex64", "object", "FP32", "bfloat16"])
def test_other_element_types_are_refused_by_name(dtype: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"element type '{dtype}': expected one of bool, "):
        to_datatype(dtype)
