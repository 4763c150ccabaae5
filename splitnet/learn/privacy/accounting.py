"""From promises of rounds to epsilon at a delta, by dp-accounting; only servers have that package."""

from collections.abc import Iterable

# Orders of the divergence, 5 % apart above 1: epsilon is then within 0.1 % of that over all orders.
_ORDERS = tuple(1 + 1.05**power for power in range(-100, 200))


def epsilon_of(rhos: Iterable[float], delta: float) -> float:
    """Return the epsilon of releases that promise these rhos, one after another, at `delta`.

    No amplification by sampling is counted: a round's devices are a fixed number, not a Poisson sample.

    Args:
        rhos: of zero-concentrated differential privacy.
        delta: above 0 and below 1.
    """
    from dp_accounting import NeighboringRelation, dp_event, rdp  # noqa: PLC0415 -- a device does not have it

    accountant = rdp.RdpAccountant(_ORDERS, NeighboringRelation.REPLACE_SPECIAL)
    for rho in rhos:
        accountant.compose(dp_event.ZCDpEvent(rho))
    return float(accountant.get_epsilon(delta))
