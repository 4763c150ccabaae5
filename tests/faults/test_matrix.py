"""Each fault in each place, with real processes: answers in time, marked, none lost, and service comes back."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.faults.cases import ESSENTIAL, Case, all_cases
from tests.faults.load import is_late
from tests.faults.matrix import LATE_S, RECOVERY_S, Bench, Outcome
from tests.faults.package import Asked

#: Longer than the requests' deadline, so that many have all their time while the fault is there.
FAULT_S = 0.7
#: A machine whose neighbours keep the device from its answers is late itself: then the try says nothing.
TRIES = 3


@pytest.fixture(scope="module")
def bench(asked: Asked, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with closing(Bench(asked, tmp_path_factory.mktemp("site"))) as made:
        yield made
        assert "Traceback" not in made.logged()


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=f"{case.name}, {case.where}") for case in all_cases() if case.name in ESSENTIAL],
)
def test_the_device_answers_in_time_and_service_returns(bench: Bench, case: Case) -> None:
    tried: list[list[str]] = []
    while not tried or (tried[-1] and len(tried) < TRIES):
        outcome = bench.try_case(case, fault_s=FAULT_S)
        assert all(map(is_late, outcome.complaints)), outcome.complaints
        assert outcome.unmarked == 0, "an answer was not marked as a fallback"
        assert case.meanwhile == "any" or outcome.fallbacks
        assert outcome.recovery_ms is not None, "the service never came back"
        tried.append([name for name, holds in times(outcome).items() if not holds])
    assert tried[-1] == [], tried


def times(outcome: Outcome) -> dict[str, bool]:
    assert outcome.recovery_ms is not None
    return {
        "every request was answered": not outcome.complaints,
        "the answers came in time": outcome.late_ms <= LATE_S * 1e3,
        "the service came back soon": outcome.recovery_ms <= RECOVERY_S * 1e3,
    }
