"""Ids of requests, by which the logs of all tiers name them."""

import os
import random
import re

# No secret: it only must not come twice. To ask the system for each would let another thread run first.
_source = random.Random()  # noqa: S311
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_source.seed)
_FORM = re.compile(r"[0-9a-f]{16}")


def new_request_id() -> str:
    """Return 16 hexadecimal digits, drawn at random."""
    return f"{_source.getrandbits(64):016x}"


def is_request_id(text: str) -> bool:
    """Whether `text` is in the form of ours; another client's id may say who it is, or be its neighbour's too."""
    return _FORM.fullmatch(text) is not None
