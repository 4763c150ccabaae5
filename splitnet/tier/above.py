"""Whether a tier is told of the tier above exactly where its package needs one."""

import logging
from collections.abc import Sequence

from splitnet.config import format_address
from splitnet.errors import ConfigError
from splitnet.package import Manifest, PlanEntry
from splitnet.tiers import TIERS, Tier

logger = logging.getLogger(__name__)

_OPTION = "--upstream HOST:PORT, or `upstream` in the configuration"


def check_upstream(manifest: Manifest, tier: Tier, upstream: Sequence[tuple[str, int]] | None) -> None:
    """Warn of an upstream that no plan uses, and of plans that lack one; refuse where no other plan is left.

    A plan that goes on from an exit at this tier lacks nothing: the exit can answer all of its samples.

    Args:
        manifest: of the package that is served.
        tier: that serves it.
        upstream: the tiers above, as configured.

    Raises:
        ConfigError: there is no upstream, and all plans that come to this tier need one.
    """
    going_on = [plan for plan in manifest.plans if plan.wire_from(tier) is not None]
    if upstream is not None and not going_on:
        addresses = ",".join(map(format_address, upstream))
        told = f"nothing of {manifest.model.name!r} goes beyond the {tier} by {_named(manifest.plans)}"
        logger.warning("upstream %s is not used: %s; leave out %s", addresses, told, _OPTION)
    stuck = [plan for plan in going_on if not _has_exit(manifest, plan, tier)]
    if upstream is not None or not stuck:
        return
    told = f"can answer by {_named(stuck)} of {manifest.model.name!r}"
    lack = f"no upstream is configured, and only the {TIERS[TIERS.index(tier) + 1]} {told}"
    if all(plan in stuck for plan in manifest.plans if TIERS.index(plan.last_tier) >= TIERS.index(tier)):
        raise ConfigError(f"{lack}: give {_OPTION}; or serve a package that has an exit or an end at the {tier}")
    logger.warning("%s: give %s", lack, _OPTION)


def _has_exit(manifest: Manifest, plan: PlanEntry, tier: Tier) -> bool:
    segment = manifest.segment_of(tier, plan)
    return segment is not None and manifest.exit_of(segment.id) is not None


def _named(plans: Sequence[PlanEntry]) -> str:
    return f"plan{'s' if plans[1:] else ''} {', '.join(plan.id for plan in plans)}"
