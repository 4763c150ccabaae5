"""Ids of requests."""

import pytest

from splitnet.telemetry import is_request_id, new_request_id


def test_ids_are_of_one_form_and_do_not_come_twice() -> None:
    ids = [new_request_id() for _ in range(10_000)]
    assert all(is_request_id(each) for each in ids)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("text", ["", "7", "0123456789abcdeg", "0123456789ABCDEF", "0123456789abcdef\n", "0" * 17])
def test_others_are_not_ours(text: str) -> None:
    assert not is_request_id(text)
