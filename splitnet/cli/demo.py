"""`splitnet demo`."""


def demo() -> None:
    """Show it."""
