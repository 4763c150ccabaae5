"""Values of options that several commands take."""

from splitnet.errors import InvalidArgumentError


def axis_size(text: str) -> tuple[str, int]:
    """Read the AXIS=SIZE of `--dim`.

    Raises:
        InvalidArgumentError: it is something else.
    """
    axis, equals, size = text.partition("=")
    if not equals or not axis or not size.isdecimal():
        raise InvalidArgumentError(f"--dim {text!r}: expected AXIS=SIZE, such as sequence=128")
    return axis, int(size)
