"""A request's deadline is the least of what it says, what gRPC says and what the tier allows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.link import DEADLINE_PARAMETER
from splitnet.link.service import deadline_of
from splitnet.protocol import Parameter
from tests.link.peers import ask

NOISE_MS = 500.0
_MS = st.floats(1_000.0, 1e7)


@given(default_ms=_MS, asked_ms=_MS | st.integers(1_000, 2**63) | st.none(), call_s=_MS | st.none())
def test_the_least_limit_holds(default_ms: float, asked_ms: float | None, call_s: float | None) -> None:
    parameters: dict[str, Parameter] = {} if asked_ms is None else {DEADLINE_PARAMETER: asked_ms}
    left_ms = deadline_of(ask(parameters=parameters), default_ms, call_s).remaining_ms()
    least_ms = min(default_ms, asked_ms or default_ms, default_ms if call_s is None else call_s * 1e3)
    assert least_ms - NOISE_MS < left_ms <= least_ms


@pytest.mark.parametrize("asked", [0, -1, -5.5, -(2**63)])
def test_no_time_left_is_expired(asked: float) -> None:
    assert deadline_of(ask(parameters={DEADLINE_PARAMETER: asked}), 1_000.0).expired


@pytest.mark.parametrize("asked", ["20", True, False])
def test_what_is_no_number_says_nothing(asked: Parameter) -> None:
    assert deadline_of(ask(parameters={DEADLINE_PARAMETER: asked}), 9_000.0).remaining_ms() > 9_000 - NOISE_MS
