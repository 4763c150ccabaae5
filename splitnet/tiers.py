"""The three kinds of machine, in the order in which a sample meets them."""

from typing import Literal

Tier = Literal["device", "edge", "cloud"]
TIERS: tuple[Tier, ...] = ("device", "edge", "cloud")
