"""What a round spends of the fleet's privacy, and the noise that the server adds where it is the one to do so."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from splitnet.errors import ConfigError
from splitnet.learn.privacy import Ledger, RoundPromise, central_promise, distributed_promise, private_sum
from splitnet.learn.settings import FederatedSettings
from splitnet.learn.strategy import CohortSum
from splitnet.learn.sum_plan import is_private, plan_sum
from splitnet_server.rounds.turn import Undertaking


class BudgetError(ConfigError):
    """Another round would go beyond the privacy budget."""


class Account:
    """A job's account.

    Args:
        settings: of the job.
        ledger: file of what was spent; not touched without differential privacy.
    """

    def __init__(self, settings: FederatedSettings, ledger: Path) -> None:
        self._settings = settings
        self._ledger = Ledger(ledger, settings.privacy) if is_private(settings) else None

    @property
    def epsilon(self) -> float | None:
        """Spent so far, by all jobs of the ledger; None without differential privacy."""
        return None if self._ledger is None else self._ledger.epsilon

    def pay(self, work: Undertaking) -> None:
        """Write down what the sums of a turn will cost; they may be opened when this has returned.

        Raises:
            BudgetError: they would go beyond the budget.
            OperatorError: the disk refuses.
        """
        if self._ledger is None:
            return
        promises = [self._promise(work, len(devices)) for devices in work.cohorts.values()]
        try:
            self._ledger.spend(work.run, work.turn.round, work.turn.attempt, promises)
        except ConfigError as err:
            raise BudgetError(str(err)) from err

    def check(self, work: Undertaking) -> None:
        """Make sure that the budget allows a turn, before any device trains for it.

        Raises:
            BudgetError: it does not.
        """
        if self._ledger is None:
            return
        try:
            self._ledger.check([self._promise(work, len(devices)) for devices in work.cohorts.values()])
        except ConfigError as err:
            raise BudgetError(str(err)) from err

    def noisy(self, sums: Sequence[CohortSum]) -> list[CohortSum]:
        """Return the sums with the server's noise, where the settings want that."""
        privacy = self._settings.privacy
        if privacy.mechanism != "central":
            return list(sums)
        clip, multiplier = self._settings.clip, privacy.noise_multiplier
        return [
            replace(each, total=private_sum(each.total, clip=clip, noise_multiplier=multiplier)) for each in sums
        ]

    def _promise(self, work: Undertaking, devices: int) -> RoundPromise:
        size = len(work.parameters)
        plan = plan_sum(self._settings, parameters=size, devices=devices)
        if plan.noise is None:
            encoded = plan.encoding.scale * self._settings.clip if self._settings.secure.enabled else None
            return central_promise(self._settings.privacy.noise_multiplier, size=size, encoded=encoded)
        return distributed_promise(plan.noise, clip=self._settings.clip, scale=plan.encoding.scale, size=size)
