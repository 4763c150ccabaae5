"""Differential privacy of a device's contribution: exact noise, what it promises, and the budget it draws on."""

from splitnet.learn.privacy.central import private_sum
from splitnet.learn.privacy.ledger import Ledger, Spent
from splitnet.learn.privacy.noise import NoiseShare, noise_share, summed_deviation
from splitnet.learn.privacy.promise import RoundPromise, central_promise, distributed_promise
from splitnet.learn.privacy.randomness import RandomWords

__all__ = [
    "Ledger",
    "NoiseShare",
    "RandomWords",
    "RoundPromise",
    "Spent",
    "central_promise",
    "distributed_promise",
    "noise_share",
    "private_sum",
    "summed_deviation",
]
