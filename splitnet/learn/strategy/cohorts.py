"""Devices of a site form a cohort with a secure sum of its own."""

from collections import defaultdict
from collections.abc import Mapping

from splitnet.errors import InvalidArgumentError

#: The cohort of all sites that are too small for their own; no site can have this name.
SMALL_SITES = "+small"


def form_cohorts(sites: Mapping[str, str], *, least: int) -> dict[str, tuple[str, ...]]:
    """Return the devices of each cohort, sorted, by the cohort's name.

    A site with `least` devices or more is a cohort. The devices of smaller sites form one cohort together,
    `SMALL_SITES`, so that none is left out; where these are fewer than `least` too, they join the smallest cohort,
    of equal ones the first by name.

    Args:
        sites: of the devices that take part, by id.
        least: devices that a cohort needs, since its sum is seen.

    Raises:
        InvalidArgumentError: there are fewer than `least` devices in all.
    """
    if len(sites) < least:
        raise InvalidArgumentError(f"cohorts: {len(sites)} devices take part, a sum needs {least}")
    by_site: dict[str, list[str]] = defaultdict(list)
    for device, site in sites.items():
        by_site[site].append(device)
    cohorts = {site: ids for site, ids in by_site.items() if len(ids) >= least}
    small = [device for site, ids in by_site.items() if site not in cohorts for device in ids]
    if len(small) >= least:
        cohorts[SMALL_SITES] = small
    elif small:
        cohorts[min(cohorts, key=lambda site: (len(cohorts[site]), site))] += small
    return {name: tuple(sorted(cohorts[name])) for name in sorted(cohorts)}
