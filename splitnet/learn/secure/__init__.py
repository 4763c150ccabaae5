"""The secure sum: a server learns the sum of its devices' updates, weights and metrics, and no single one."""

from splitnet.learn.secure.context import RoundContext
from splitnet.learn.secure.contribution import Contribution, Opened
from splitnet.learn.secure.device import DeviceRound
from splitnet.learn.secure.encoding import Encoding, Metric
from splitnet.learn.secure.reasons import Reason
from splitnet.learn.secure.rules import DevicePolicy, Journal, Party, RoundRules
from splitnet.learn.secure.server import Drop, Leg, ServerRound

__all__ = [
    "Contribution",
    "DevicePolicy",
    "DeviceRound",
    "Drop",
    "Encoding",
    "Journal",
    "Leg",
    "Metric",
    "Opened",
    "Party",
    "Reason",
    "RoundContext",
    "RoundRules",
    "ServerRound",
]
