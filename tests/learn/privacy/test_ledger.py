"""The ledger: what is written before a round, what is refused, and that it survives."""

import json
from pathlib import Path

import pytest

from splitnet.errors import ConfigError, OperatorError
from splitnet.learn.privacy import Ledger, RoundPromise, central_promise
from splitnet.learn.privacy.accounting import epsilon_of
from splitnet.learn.settings import PrivacySettings

SETTINGS = PrivacySettings(mechanism="central", noise_multiplier=2.0, delta=1e-6, budget=6.0)
PROMISE = central_promise(2.0, size=1000)
WEAKER = central_promise(1.9, size=1000)


def spend(ledger: Ledger, round_: int, *promises: RoundPromise) -> float:
    return ledger.spend("run", round_, 0, promises or (PROMISE,)).epsilon_total


def test_a_round_is_written_down_with_its_promise(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    spent = Ledger(path, SETTINGS).spend("run", 0, 1, [PROMISE, WEAKER])
    assert spent.promise == WEAKER
    assert spent.epsilon == spent.epsilon_total == epsilon_of([WEAKER.rho], 1e-6)
    (written,) = json.loads(path.read_text())["spent"]
    assert (written["run"], written["round"], written["attempt"], written["delta"]) == ("run", 0, 1, 1e-6)
    assert written["epsilon"] == spent.epsilon
    assert Ledger(path, SETTINGS).spent == (spent,)


def test_rounds_add_up_over_runs_and_restarts(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    first = Ledger(path, SETTINGS).spend("monday", 0, 0, [PROMISE])
    second = Ledger(path, SETTINGS).spend("tuesday", 0, 0, [PROMISE])
    assert second.epsilon_total == epsilon_of([PROMISE.rho] * 2, 1e-6) > first.epsilon_total
    assert Ledger(path, SETTINGS).epsilon == second.epsilon_total


def test_a_round_beyond_the_budget_does_not_start(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    ledger = Ledger(path, SETTINGS)
    fit = next(count for count in range(100) if epsilon_of([PROMISE.rho] * (count + 1), 1e-6) > 6.0)
    assert fit >= 2
    for round_ in range(fit):
        assert ledger.check([PROMISE]) == spend(ledger, round_) <= 6.0
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"beyond privacy\.budget 6: it does not start"):
        ledger.check([PROMISE])
    with pytest.raises(ConfigError, match=r"beyond privacy\.budget 6"):
        spend(ledger, fit)
    assert path.read_bytes() == before
    assert len(ledger.spent) == fit
    wider = SETTINGS.model_copy(update={"budget": 100.0})
    assert spend(Ledger(path, wider), fit) > 6.0


def test_what_another_job_has_spent_meanwhile_counts(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    mine, others = Ledger(path, SETTINGS), Ledger(path, SETTINGS)
    others.spend("theirs", 0, 0, [PROMISE])
    total = mine.spend("mine", 0, 0, [PROMISE]).epsilon_total
    assert total == epsilon_of([PROMISE.rho] * 2, 1e-6)
    assert [each.run for each in Ledger(path, SETTINGS).spent] == ["theirs", "mine"]
    with pytest.raises(ConfigError, match="was paid for already"):
        mine.spend("theirs", 0, 0, [PROMISE])


def test_every_attempt_is_paid_for_and_only_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.json", SETTINGS)
    first = ledger.spend("run", 0, 0, [PROMISE])
    assert ledger.spend("run", 0, 1, [PROMISE]).epsilon_total > first.epsilon_total
    with pytest.raises(ConfigError, match="round 0, attempt 1 of run run was paid for already"):
        ledger.spend("run", 0, 1, [PROMISE])


@pytest.mark.parametrize("content", ["", "{}x", '{"spent": [{}]}', '{"format": "other", "spent": []}'])
def test_a_damaged_ledger_is_not_an_empty_one(content: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match="what was spent of the privacy budget is not known"):
        Ledger(path, SETTINGS)


def test_what_cannot_be_written_is_not_spent(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "none" / "ledger.json", SETTINGS)
    with pytest.raises(OperatorError, match="cannot be locked"):
        spend(ledger, 0)
    assert ledger.spent == ()
