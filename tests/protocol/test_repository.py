"""Messages on the repository come back as they were, and hostile bytes are refused by name."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.errors import InvalidArgumentError, PeerProtocolError
from splitnet.protocol import (
    REPOSITORY_INDEX,
    REPOSITORY_MODEL_LOAD,
    REPOSITORY_MODEL_UNLOAD,
    IndexEntry,
    IndexRequest,
    ModelChange,
)
from tests.protocol.strategies import TEXTS

CHANGES = st.builds(
    ModelChange,
    TEXTS,
    TEXTS,
    st.dictionaries(
        TEXTS, st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXTS | st.binary(max_size=20), max_size=4
    ),
)
ENTRIES = st.lists(st.builds(IndexEntry, TEXTS, TEXTS, TEXTS, TEXTS), max_size=4).map(tuple)


@given(change=CHANGES)
def test_a_change_comes_back(change: ModelChange) -> None:
    for method in (REPOSITORY_MODEL_LOAD, REPOSITORY_MODEL_UNLOAD):
        back = method.decode_request(method.encode_request(change))
        assert back == change
        assert [type(value) for value in back.parameters.values()] == [
            type(change.parameters[name]) for name in back.parameters
        ]


@given(request=st.builds(IndexRequest, TEXTS, st.booleans()), entries=ENTRIES)
def test_an_index_comes_back(request: IndexRequest, entries: tuple[IndexEntry, ...]) -> None:
    assert REPOSITORY_INDEX.decode_request(REPOSITORY_INDEX.encode_request(request)) == request
    assert REPOSITORY_INDEX.decode_response(REPOSITORY_INDEX.encode_response(entries)) == entries


@given(data=st.binary(max_size=60))
def test_any_bytes_are_a_message_or_are_refused(data: bytes) -> None:
    for decode in (REPOSITORY_INDEX.decode_request, REPOSITORY_MODEL_LOAD.decode_request):
        with suppress(InvalidArgumentError):  # any other error fails
            decode(data)
    for read in (REPOSITORY_INDEX.decode_response, REPOSITORY_MODEL_UNLOAD.decode_response):
        with suppress(PeerProtocolError):
            read(data)


@given(change=CHANGES, data=st.data())
def test_a_message_that_is_cut_off_is_never_taken_for_another(change: ModelChange, data: st.DataObject) -> None:
    message = REPOSITORY_MODEL_LOAD.encode_request(change)
    cut = message[: data.draw(st.integers(0, max(0, len(message) - 1)))]
    try:
        read = REPOSITORY_MODEL_LOAD.decode_request(cut)
    except InvalidArgumentError:
        return
    # Cut between two fields it is whole, but says less.
    assert read.parameters.items() <= change.parameters.items()
    assert read.model in ("", change.model)
    assert read.repository in ("", change.repository)


def test_a_parameter_without_a_value_is_refused() -> None:
    empty = bytes.fromhex("1a 05 0a 01 61 12 00")  # parameters {"a": nothing}
    with pytest.raises(InvalidArgumentError, match="parameter 'a' has no value; expected bool_param"):
        REPOSITORY_MODEL_LOAD.decode_request(empty)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 1.5, None])
def test_a_value_that_the_protocol_has_no_form_for_is_refused(value: object) -> None:
    with pytest.raises(InvalidArgumentError, match="parameter 'a': expected"):
        REPOSITORY_MODEL_LOAD.encode_request(ModelChange("m", parameters={"a": value}))  # type: ignore[dict-item] # such
