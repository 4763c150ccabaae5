"""Shamir's secret sharing of 32 bytes over the field of p = 2^256 + 297, the least prime that holds all of them.

Shamir 1979, "How to share a secret", Communications of the ACM 22(11). The share at x = 1, 2, … is the value of a
random polynomial of degree threshold - 1 whose value at 0 is the secret; fewer shares than that say nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np

from splitnet.learn.secure.reasons import Reason, refusal

PRIME = 2**256 + 297
SECRET_BYTES = 32
SHARE_BYTES = 33

# Reduced modulo p, so many random bytes are within 2^-127 of uniform.
_COEFFICIENT_BYTES = 48
# Sets of shares that are tried when some of them are wrong; each costs about 2 ms.
_MOST_TRIES = 200

Random = Callable[[int], bytes]


def split(secret: bytes | bytearray, threshold: int, count: int, *, random: Random) -> list[bytes]:
    """Share a secret.

    Args:
        secret: 32 bytes.
        threshold: how many shares give it back.
        count: how many shares there are.
        random: returns so many random bytes.

    Returns:
        The shares at x = 1 … `count`, 33 bytes each.
    """
    assert len(secret) == SECRET_BYTES
    assert 1 <= threshold <= count
    drawn = (int.from_bytes(random(_COEFFICIENT_BYTES), "little") for _ in range(threshold - 1))
    coefficients = [int.from_bytes(secret, "little"), *(each % PRIME for each in drawn)]
    return [_evaluate(coefficients, x).to_bytes(SHARE_BYTES, "little") for x in range(1, count + 1)]


def combine(shares: Mapping[int, bytes], threshold: int) -> bytes | None:
    """Return the secret that the first `threshold` of `shares`, by x, lie on; None if it is no 32 bytes."""
    chosen = sorted(shares)[:threshold]
    value = _value_at(shares, tuple(chosen), 0)
    return value.to_bytes(SECRET_BYTES, "little") if value < 2 ** (8 * SECRET_BYTES) else None


def recover(
    shares: Mapping[int, bytes], threshold: int, is_right: Callable[[bytes], bool]
) -> tuple[bytes, frozenset[int]]:
    """Return the secret although some shares may be wrong.

    Args:
        shares: by x.
        threshold: how many right ones give the secret.
        is_right: tells the secret from anything else.

    Returns:
        The secret, and the x of every share that does not belong to it; none where the first shares were right,
        since then nobody looks at the others.

    Raises:
        RefusalError: fewer shares than `threshold` (too-few-survivors), or no set of them that was tried gives the
            secret (bad-share).
    """
    if len(shares) < threshold:
        raise refusal(Reason.TOO_FEW_SURVIVORS, f"{len(shares)} shares of a secret: {threshold} are needed")
    order: Sequence[int] = sorted(shares)
    # Which sets are tried is no secret and must only vary.
    rng = np.random.default_rng(0)
    for attempt in range(1 if len(shares) == threshold else _MOST_TRIES):
        chosen = {x: shares[x] for x in order[:threshold]}
        secret = combine(chosen, threshold)
        if secret is not None and is_right(secret):
            points, rest = tuple(sorted(chosen)), order[threshold:] if attempt else ()
            wrong = (x for x in rest if _value_at(chosen, points, x) != _number(shares[x]))
            return secret, frozenset(wrong)
        order = rng.permutation(order).tolist()
    raise refusal(
        Reason.BAD_SHARE, f"no {threshold} of {len(shares)} shares give the secret that was committed to"
    )


def _number(share: bytes) -> int:
    return int.from_bytes(share, "little")


def _evaluate(coefficients: Sequence[int], x: int) -> int:
    value = 0
    for each in reversed(coefficients):
        value = (value * x + each) % PRIME
    return value


def _value_at(shares: Mapping[int, bytes], points: tuple[int, ...], at: int) -> int:
    """Interpolate through the shares at `points`."""
    weights = _lagrange(points, at)
    return sum(weight * _number(shares[x]) for weight, x in zip(weights, points, strict=True)) % PRIME


# The same devices may hold the shares of many secrets, so their weights are computed once.
@lru_cache(maxsize=256)
def _lagrange(points: tuple[int, ...], at: int) -> tuple[int, ...]:
    """Return the weights by which the values at `points` add up to the value at `at`, which is none of them."""
    above = 1
    below = []
    for x in points:
        above = above * (at - x) % PRIME
        product = at - x
        for other in points:
            if other != x:
                product = product * (x - other) % PRIME
        below.append(product)
    return tuple(above * each % PRIME for each in _inverses(below))


def _inverses(values: Sequence[int]) -> list[int]:
    """Invert all at once (Montgomery 1987): one inversion modulo p takes as long as 100 products."""
    before = [1]
    for value in values:
        before.append(before[-1] * value % PRIME)
    rest = pow(before[-1], -1, PRIME)
    inverses = []
    for value, product in zip(reversed(values), reversed(before[:-1]), strict=True):
        inverses.append(rest * product % PRIME)
        rest = rest * value % PRIME
    return inverses[::-1]
