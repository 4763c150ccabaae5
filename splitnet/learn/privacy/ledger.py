"""The budget's account: what a round costs is written down before any of its sums is seen, or none is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from splitnet.config import Frozen
from splitnet.errors import ConfigError
from splitnet.learn.identity.lock import locked
from splitnet.learn.privacy.accounting import epsilon_of
from splitnet.learn.privacy.promise import RoundPromise
from splitnet.learn.settings import PrivacySettings
from splitnet.whole_file import write_whole


class Spent(Frozen):
    """A round that was paid for.

    Attributes:
        run: name of the run.
        round: its number.
        attempt: of the round; each one whose sums were to be opened is paid for, whatever came of it.
        promise: of the cohort that promises least. Cohorts share no device, so a device's promise is its cohort's.
        delta: the settings' at that time.
        epsilon: of this round alone.
        epsilon_total: of all rounds up to this one.
    """

    run: str
    round: Annotated[int, Field(ge=0)]
    attempt: Annotated[int, Field(ge=0)]
    promise: RoundPromise
    delta: float
    epsilon: float
    epsilon_total: float


class _File(Frozen):
    format: Literal["splitnet/privacy-ledger/1"] = "splitnet/privacy-ledger/1"
    spent: tuple[Spent, ...] = ()


class Ledger:
    """What was spent of the privacy of a fleet's data, over all runs, in one file.

    The servers of several runs may share it: each reads it anew, under a lock, before it writes.

    Args:
        path: of the file; it is made by the first round.
        settings: delta and budget.

    Raises:
        ConfigError: the file is damaged.
    """

    def __init__(self, path: Path, settings: PrivacySettings) -> None:
        self._path = path
        self._settings = settings
        self._spent = _read(path)

    @property
    def spent(self) -> tuple[Spent, ...]:
        """All rounds that this object has seen in the file, the first first."""
        return self._spent

    @property
    def epsilon(self) -> float:
        """Of all rounds so far, at the settings' delta."""
        return epsilon_of((each.promise.rho for each in self._spent), self._settings.delta)

    def check(self, promises: Sequence[RoundPromise]) -> float:
        """Return what epsilon would be after another round: asked before it starts, so that none is in vain.

        Args:
            promises: one for each cohort.

        Raises:
            ConfigError: it would go beyond the budget.
        """
        delta, budget = self._settings.delta, self._settings.budget
        total = epsilon_of([*(each.promise.rho for each in self._spent), _worst(promises).rho], delta)
        if total > budget:
            raise ConfigError(
                f"{self._path}: another round would bring epsilon from {self.epsilon:.3f} to {total:.3f} "
                f"at delta {delta:g}, beyond privacy.budget {budget:g}: it does not start"
            )
        return total

    def spend(self, run: str, round_: int, attempt: int, promises: Sequence[RoundPromise]) -> Spent:
        """Write a round down; its sums may be opened when this has returned.

        Args:
            run: name of the run.
            round_: its number.
            attempt: of the round.
            promises: one for each cohort.

        Raises:
            ConfigError: it would go beyond the budget, or was written down before; nothing is written.
            OperatorError: the disk refuses; no sum must be opened.
        """
        with locked(self._path.parent):
            self._spent = _read(self._path)
            if any((each.run, each.round, each.attempt) == (run, round_, attempt) for each in self._spent):
                raise ConfigError(
                    f"{self._path}: round {round_}, attempt {attempt} of run {run} was paid for already"
                )
            spent = self._priced(run, round_, attempt, promises)
            after = (*self._spent, spent)
            write_whole((_File(spent=after).model_dump_json(indent=1) + "\n").encode(), self._path)
            self._spent = after
        return spent

    def _priced(self, run: str, round_: int, attempt: int, promises: Sequence[RoundPromise]) -> Spent:
        total = self.check(promises)
        worst, delta = _worst(promises), self._settings.delta
        return Spent(
            run=run,
            round=round_,
            attempt=attempt,
            promise=worst,
            delta=delta,
            epsilon=epsilon_of([worst.rho], delta),
            epsilon_total=total,
        )


def _worst(promises: Sequence[RoundPromise]) -> RoundPromise:
    return max(promises, key=lambda promise: promise.rho)


def _read(path: Path) -> tuple[Spent, ...]:
    try:
        return _File.model_validate_json(path.read_bytes()).spent
    except FileNotFoundError:
        return ()
    except OSError as err:
        raise ConfigError(f"{path}: cannot be read: {err.strerror}") from err
    except ValidationError as err:
        raise ConfigError(
            f"{path}: damaged, so what was spent of the privacy budget is not known: restore the file from a copy"
        ) from err
