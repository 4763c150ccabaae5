"""Plain sums: the server sees each device's update. Only where settings and devices both say so."""

import logging
from dataclasses import dataclass

import numpy as np

from splitnet.errors import PeerProtocolError
from splitnet.learn.legs import UPDATE, LegMessage, PlainUpdate
from splitnet.learn.strategy import CohortSum
from splitnet.learn.sum_plan import METRICS, is_private, most_weight
from splitnet.learn.vector import Vector
from splitnet_server.rounds.asking import Asking
from splitnet_server.rounds.turn import Opening, Undertaking

logger = logging.getLogger(__name__)

# Rounding to float32 may leave a clipped norm a little above the clip.
_CLIP_SLACK = 1 + 1e-4


def plain_sums(work: Undertaking, asking: Asking, opening: Opening) -> list[CohortSum]:
    """Run the one leg and return the sum of each cohort that has enough devices.

    Args:
        work: what is summed.
        asking: how devices are asked.
        opening: what must be on the disk before; here before anything is asked, since the answers are open.

    Raises:
        StoppedError: the job is to stop.
    """
    opening.settle()
    opening.pay()
    answers = asking.ask("plain", work.tasks(), list(work.cohorts.values()))
    sums = []
    for cohort, devices in work.cohorts.items():
        updates = [_read(work, device, answers[device]) for device in devices if device in answers]
        good = [update for update in updates if update is not None]
        if len(good) >= work.settings.least_devices:
            sums.append(_sum(cohort, good))
        else:
            logger.warning(
                "cohort %s: %d usable updates, %d needed", cohort, len(good), work.settings.least_devices
            )
    return sums


@dataclass(frozen=True, slots=True, eq=False)
class _Update:
    weight: int
    vector: Vector
    metrics: dict[str, float]


def _read(work: Undertaking, device: str, answer: LegMessage) -> _Update | None:
    if (refused := answer.refusal()) is not None:
        logger.warning("device %s refuses (%s): %s", device, refused.refused, refused.message)
        return None
    try:
        return _checked(work, answer)
    except PeerProtocolError as err:
        logger.warning("device %s: %s", device, err)
        return None


def _checked(work: Undertaking, answer: LegMessage) -> _Update:
    header = answer.read(PlainUpdate)
    vector = answer.vectors.get(UPDATE)
    if vector is None or vector.dtype != np.float32 or vector.shape != work.parameters.shape:
        raise PeerProtocolError(f"its update is not float32 [{len(work.parameters)}]")
    if not float(np.linalg.norm(vector.astype(np.float64))) <= work.settings.clip * _CLIP_SLACK:
        raise PeerProtocolError("its update is longer than the clip, or not finite")
    if header.samples > (most := most_weight(work.settings)):
        raise PeerProtocolError(f"its weight is {header.samples}, the largest is {most}")
    known = () if is_private(work.settings) else METRICS
    if missing := [metric.name for metric in known if metric.name not in header.metrics]:
        raise PeerProtocolError(f"its metrics lack {missing}")
    metrics = {each.name: float(np.clip(header.metrics[each.name], each.low, each.high)) for each in known}
    return _Update(header.samples, vector, metrics)


def _sum(cohort: str, updates: list[_Update]) -> CohortSum:
    total = np.zeros(len(updates[0].vector), np.float64)
    for update in updates:
        total += update.weight * update.vector.astype(np.float64)
    names = set.intersection(*(set(update.metrics) for update in updates))
    metrics = {name: sum(update.weight * update.metrics[name] for update in updates) for name in sorted(names)}
    return CohortSum(cohort, total, float(sum(update.weight for update in updates)), len(updates), metrics)
