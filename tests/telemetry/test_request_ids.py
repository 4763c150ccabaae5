"""Ids of requests."""

import os
import subprocess
import sys

import pytest

from splitnet.telemetry import is_request_id, new_request_id

# The parent writes when the child has: without buffers, a line is two writes.
_FORKED = """
import os
from splitnet.telemetry import new_request_id

child = os.fork()
if child:
    os.waitpid(child, 0)
print(new_request_id(), flush=True)
"""


def test_ids_are_of_one_form_and_do_not_come_twice() -> None:
    ids = [new_request_id() for _ in range(10_000)]
    assert all(is_request_id(each) for each in ids)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("text", ["", "7", "0123456789abcdeg", "0123456789ABCDEF", "0123456789abcdef\n", "0" * 17])
def test_others_are_not_ours(text: str) -> None:
    assert not is_request_id(text)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_draws_others() -> None:
    run = subprocess.run([sys.executable, "-c", _FORKED], capture_output=True, text=True, check=True, timeout=60)
    of_child, of_parent = run.stdout.split()
    assert of_child != of_parent
