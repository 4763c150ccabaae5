"""Which devices a round asks: a share of them, the same for the same seed, round and devices."""

import hashlib
import math
from collections.abc import Iterable

from splitnet.errors import InvalidArgumentError


def sample_devices(ids: Iterable[str], *, share: float, least: int, seed: int, round_: int) -> tuple[str, ...]:
    """Return the sampled ids, sorted.

    Each round draws its own fixed number of devices, without replacement, by the order of SHA-256 of seed,
    round and id: the same on every machine. It is not Poisson sampling, and no privacy is claimed for it.

    Args:
        ids: the available devices.
        share: of them that are asked, above 0 and at most 1; rounded up.
        least: that are asked in any case.
        seed: of the job.
        round_: number of the round.

    Raises:
        InvalidArgumentError: fewer than `least` are available.
    """
    available = sorted(set(ids))
    if len(available) < least:
        raise InvalidArgumentError(f"sampling: {len(available)} devices are available, the round needs {least}")
    count = max(least, math.ceil(share * len(available) - 1e-9))
    drawn = sorted(available, key=lambda id_: hashlib.sha256(f"{seed}/{round_}/{id_}".encode()).digest())
    return tuple(sorted(drawn[:count]))
