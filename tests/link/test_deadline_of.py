"""A request's deadline is the least of what it says, what gRPC says and what the tier allows."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.link import DEADLINE_PARAMETER
from splitnet.link.terms import deadline_of
from splitnet.protocol import Parameter
from tests.link.peers import ask

#: What sums of floats may be off by.
ROUNDING_MS = 1e-3
_MS = st.floats(1_000.0, 1e7)


@given(
    default_ms=_MS,
    asked_ms=_MS | st.integers(1_000, 2**63 - 1) | st.none(),
    timeout_us=st.integers(1_000_000, 2**64 - 1) | st.none(),
    call_s=_MS | st.none(),
)
def test_the_least_limit_holds(
    default_ms: float, asked_ms: float | None, timeout_us: int | None, call_s: float | None
) -> None:
    asked = {DEADLINE_PARAMETER: asked_ms, "timeout": timeout_us}
    parameters: dict[str, Parameter] = {name: value for name, value in asked.items() if value is not None}
    start_s = time.monotonic()
    left_ms = deadline_of(ask(parameters=parameters), default_ms, call_s).remaining_ms()
    passed_ms = (time.monotonic() - start_s) * 1e3
    limits = [default_ms, asked_ms, timeout_us and timeout_us / 1e3, call_s and call_s * 1e3]
    least_ms = min(limit for limit in limits if limit is not None)
    assert least_ms - passed_ms - ROUNDING_MS <= left_ms <= least_ms + ROUNDING_MS


@pytest.mark.parametrize("asked", [0, -1, -5.5, -(2**63)])
def test_no_time_left_is_expired(asked: float) -> None:
    assert deadline_of(ask(parameters={DEADLINE_PARAMETER: asked}), 1_000.0).expired


@pytest.mark.parametrize("name", [DEADLINE_PARAMETER, "timeout"])
@pytest.mark.parametrize("asked", ["20", True, False])
def test_what_is_no_number_says_nothing(name: str, asked: Parameter) -> None:
    assert deadline_of(ask(parameters={name: asked}), 9_000.0).remaining_ms() > 4_500


def test_no_timeout_says_nothing() -> None:
    assert deadline_of(ask(parameters={"timeout": 0}), 9_000.0).remaining_ms() > 4_500
