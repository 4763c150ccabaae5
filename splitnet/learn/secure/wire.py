"""Fixed-width fields and tables by device: the bytes under every message and stored state of a secure sum.

Integers are little-endian. A table is a count (uint16) and as many records, each a device id of 8 bytes and a
value of known width, in ascending order of ids; so equal tables have equal bytes.
"""

from collections.abc import Iterable, Mapping

from splitnet.learn.secure.reasons import Reason, refusal

ID_BYTES = 8


def id_bytes(device: str) -> bytes:
    """Return the 8 bytes of a device id of 16 hexadecimal characters.

    Raises:
        RefusalError: `device` is no such id (malformed).
    """
    try:
        raw = bytes.fromhex(device)
    except ValueError:
        raw = b""
    if len(raw) != ID_BYTES or raw.hex() != device:
        raise refusal(Reason.MALFORMED, f"device id {device!r}: expected 16 lower-case hexadecimal characters")
    return raw


def number(value: int, size_bytes: int) -> bytes:
    """Return `value` in `size_bytes` bytes."""
    return value.to_bytes(size_bytes, "little")


def text_field(text: str) -> bytes:
    """Return a length (uint8) and the text in UTF-8; at most 255 bytes."""
    raw = text.encode()
    return number(len(raw), 1) + raw


def table(records: Mapping[str, bytes]) -> bytes:
    """Return a table; every value has the width that its reader expects."""
    rows = (id_bytes(device) + bytes(records[device]) for device in sorted(records))
    return number(len(records), 2) + b"".join(rows)


def id_list(devices: Iterable[str]) -> bytes:
    """Return a table of ids alone."""
    return table(dict.fromkeys(devices, b""))


class Reader:
    """Reads fields off the front of bytes that anyone may have written.

    Args:
        data: the bytes.
        what: their name in errors.
    """

    def __init__(self, data: bytes, what: str) -> None:
        self._data = bytes(data)
        self._at = 0
        self._what = what

    def malformed(self, problem: str) -> Exception:
        """Return the refusal to raise."""
        return refusal(Reason.MALFORMED, f"{self._what}: {problem} at byte {self._at} of {len(self._data)}")

    def take(self, size_bytes: int) -> bytes:
        """Return the next `size_bytes` bytes.

        Raises:
            RefusalError: so many are not left (malformed); so do all other methods.
        """
        if size_bytes > len(self._data) - self._at:
            raise self.malformed(f"expected {size_bytes} more bytes")
        self._at += size_bytes
        return self._data[self._at - size_bytes : self._at]

    def number(self, size_bytes: int) -> int:
        """Return an integer of `size_bytes` bytes."""
        return int.from_bytes(self.take(size_bytes), "little")

    def text_field(self) -> str:
        """Return a text of at most 255 bytes."""
        raw = self.take(self.number(1))
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise self.malformed("expected UTF-8") from None

    def table(self, width: int) -> dict[str, bytes]:
        """Return a table of values of `width` bytes, by id."""
        records: dict[str, bytes] = {}
        last = ""
        for _ in range(self.number(2)):
            device = self.take(ID_BYTES).hex()
            if device <= last:
                raise self.malformed("expected ids in ascending order, each once")
            records[device] = self.take(width)
            last = device
        return records

    def id_list(self) -> tuple[str, ...]:
        """Return ids in ascending order."""
        return tuple(self.table(0))

    def rest(self) -> bytes:
        """Return all that is left."""
        return self.take(len(self._data) - self._at)

    def end(self) -> None:
        """Check that nothing is left."""
        if self._at != len(self._data):
            raise self.malformed(f"expected the end, not {len(self._data) - self._at} more bytes")
