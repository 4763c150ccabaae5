"""The little of protobuf's wire format that framing by hand needs: tags, varints, lengths."""

from collections.abc import Mapping
from functools import lru_cache
from typing import TypeAlias

from splitnet.errors import InvalidArgumentError

#: A length-delimited field: its number, and where its tag, its value and what follows it begin.
Field: TypeAlias = tuple[int, int, int, int]

#: Fields at the top of one message; each costs a Python loop, and a tensor needs two.
MAX_FIELDS = 16_384

_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT = 10


@lru_cache(maxsize=1024)
def length_prefix(number: int, size_bytes: int) -> bytes:
    """Return the tag and the length that precede a value of `size_bytes` in field `number` (1 to 15)."""
    prefix = bytearray((number << 3 | _LENGTH_DELIMITED,))
    while size_bytes > 0x7F:
        prefix.append(size_bytes & 0x7F | 0x80)
        size_bytes >>= 7
    prefix.append(size_bytes)
    return bytes(prefix)


def scan(data: bytes, start: int, stop: int, names: Mapping[int, str]) -> list[Field]:
    """Return the fields of the message in `data[start:stop]`, in order, without looking into them.

    Fields whose number is not in `names` are passed over, as protobuf does, so that a newer peer can add some.

    Args:
        data: holds the message.
        start: where the message begins.
        stop: where it ends.
        names: the message's fields by number; all of them are length-delimited.

    Raises:
        InvalidArgumentError: this is not a protobuf message, or a named field is not length-delimited, or the
            message has more than `MAX_FIELDS` fields.
    """
    fields: list[Field] = []
    at = start
    seen = 0
    while at < stop:
        seen += 1
        if seen > MAX_FIELDS:
            raise InvalidArgumentError(f"the message has more than {MAX_FIELDS} fields")
        tag, size, value = data[at], 0x80, at + 2
        if tag & 0x87 == _LENGTH_DELIMITED < tag and value <= stop:
            size = data[at + 1]
        if size >= 0x80:  # not the short form, of one byte for each, that nearly all fields have
            tag, value = read_varint(data, at, stop)
            size, value = _value_size(data, value, stop, tag, names)
        number = tag >> 3
        if size > stop - value:
            raise InvalidArgumentError(
                f"{_name(names, number)} at byte {at} is cut off: expected {size} bytes, {stop - value} are left"
            )
        if number in names:
            fields.append((number, at, value, value + size))
        at = value + size
    return fields


def read_varint(data: bytes, at: int, stop: int) -> tuple[int, int]:
    """Return the varint that begins at `at`, and where the next byte after it lies.

    Raises:
        InvalidArgumentError: it reaches beyond `stop`, or does not fit into 64 bits.
    """
    value = shift = 0
    for position in range(at, min(at + _LONGEST_VARINT, stop)):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                break
            return value, position + 1
        shift += 7
    else:
        if stop - at < _LONGEST_VARINT:
            raise InvalidArgumentError(f"the number at byte {at} is cut off after {stop - at} bytes")
    raise InvalidArgumentError(f"the number at byte {at} does not fit into 64 bits")


def _value_size(data: bytes, at: int, stop: int, tag: int, names: Mapping[int, str]) -> tuple[int, int]:
    """Return the size of the value of field `tag` in bytes, and where the value begins."""
    number, wire_type = tag >> 3, tag & 7
    if not 0 < number < 1 << 29:
        raise InvalidArgumentError(f"byte {at}: field number {number} is not in 1 to {(1 << 29) - 1}")
    if wire_type == _LENGTH_DELIMITED:
        return read_varint(data, at, stop)
    if number in names:
        raise InvalidArgumentError(
            f"{_name(names, number)} before byte {at}: expected wire type {_LENGTH_DELIMITED}, got {wire_type}"
        )
    if wire_type == _VARINT:
        return read_varint(data, at, stop)[1] - at, at
    size = _FIXED_SIZES.get(wire_type)
    if size is None:
        raise InvalidArgumentError(f"{_name(names, number)} before byte {at}: unknown wire type {wire_type}")
    return size, at


def _name(names: Mapping[int, str], number: int) -> str:
    return f"field {names[number]}" if number in names else f"unknown field {number}"
