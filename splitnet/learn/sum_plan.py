"""From a job's settings to one cohort's sum: rules, encoding and noise, worked out alike by server and devices."""

import math
from dataclasses import dataclass

from splitnet.learn.local.job import METRICS as SAMPLE_METRICS
from splitnet.learn.privacy import NoiseShare, noise_share
from splitnet.learn.secure import Encoding, Metric, RoundRules
from splitnet.learn.settings import FederatedSettings

#: What devices report: sums over samples, each divided by the device's weight, which is no less than their number.
#: Summed with the weights, they are sums over the samples of all devices.
METRICS = tuple(Metric(name, 0.0, most) for name, most in SAMPLE_METRICS.items())

# `NoiseShare.reach` is 10 deviations, the encoding leaves room for 9.
_ROOM = 10 / 9


@dataclass(frozen=True, slots=True)
class SumPlan:
    """How a cohort's updates are summed.

    Attributes:
        rules: of the secure sum.
        encoding: of a device's contribution.
        noise: what each device adds; None without distributed privacy.
        least_devices: whose contributions make a sum that may be opened.
    """

    rules: RoundRules
    encoding: Encoding
    noise: NoiseShare | None
    least_devices: int


def is_private(settings: FederatedSettings) -> bool:
    """Whether there is differential privacy: then no metrics are reported, which its noise would not cover."""
    return settings.privacy.mechanism != "none"


def most_weight(settings: FederatedSettings) -> int:
    """Return a device's largest weight: its samples count up to this; with differential privacy each counts 1."""
    return 1 if is_private(settings) else settings.most_samples


def plan_sum(settings: FederatedSettings, *, parameters: int, devices: int) -> SumPlan:
    """Return the plan of a sum.

    Args:
        settings: of the job.
        parameters: d, the length of an update.
        devices: how many are asked.

    Raises:
        RefusalError: the sum could overflow.
        InvalidArgumentError: a number is out of its range.
    """
    rules = RoundRules(settings.secure.threshold, settings.secure.neighbours)
    survivors = rules.survivors_needed(devices)
    distributed = settings.privacy.mechanism == "distributed"
    deviation = settings.privacy.noise_multiplier * settings.clip * math.sqrt(devices / survivors)
    encoding = Encoding.plan(
        parameters=parameters,
        devices=devices,
        clip=settings.clip,
        most_weight=most_weight(settings),
        metrics=() if is_private(settings) else METRICS,
        noise_std=_ROOM * deviation if distributed else 0.0,
    )
    noise = None
    if distributed:
        noise = noise_share(
            settings.privacy.noise_multiplier, clip=settings.clip, scale=encoding.scale, survivors=survivors
        )
    return SumPlan(rules, encoding, noise, max(settings.least_devices, survivors if distributed else 0))
