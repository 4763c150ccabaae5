"""Ids of requests."""

import os
import subprocess
import sys

import pytest

from splitnet.telemetry import is_request_id, new_request_id


def test_ids_are_of_one_form_and_do_not_come_twice() -> None:
    ids = [new_request_id() for _ in range(10_000)]
    assert all(is_request_id(each) for each in ids)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("text", ["", "7", "0123456789abcdeg", "0123456789ABCDEF", "0123456789abcdef\n", "0" * 17])
def test_others_are_not_ours(text: str) -> None:
    assert not is_request_id(text)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_draws_others() -> None:
    drawn = "import os; from splitnet.telemetry import new_request_id as id; os.fork(); print(id(), flush=True)"
    run = subprocess.run([sys.executable, "-c", drawn], capture_output=True, text=True, check=True, timeout=60)
    first, second = run.stdout.split()
    assert first != second
