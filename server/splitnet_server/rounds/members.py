"""Which device each node is: nodes introduce themselves with the signature of an enrolled device."""

import logging
import secrets
import time
from collections.abc import Iterable

from splitnet.errors import PeerProtocolError, UnavailableError
from splitnet.learn.identity import Roster
from splitnet.learn.legs import Hello, Introduction, LegMessage, introduction_bytes
from splitnet.signing import is_signed
from splitnet_server.rounds.fleet import Fleet, Patience

logger = logging.getLogger(__name__)

_LOOK_AGAIN_S = 0.5
# A SuperNode that died is listed for 60 s more: who does not introduce itself is asked again after that.
_ASK_AGAIN_S = 60.0


class Members:
    """The devices of a job that are connected.

    Args:
        run: name of the job.
        roster: the fleet.
        document: the roster as the operator signed it, for the devices.
        fleet: where to ask.
    """

    def __init__(self, run: str, roster: Roster, document: bytes, fleet: Fleet) -> None:
        self._run = run
        self._keys = roster.keys
        self._document = document
        self._fleet = fleet
        self._devices: dict[int, str] = {}
        self._again_at: dict[int, float] = {}
        self._newest_at = time.monotonic()

    def gather(self, least: int, patience: Patience) -> dict[str, int]:
        """Return node by device, once every enrolled device is connected, or enough are and no more come.

        Args:
            least: devices that are needed.
            patience: its `grace_s` after the last arrival, and at the latest after its `leg_s`, the round goes on
                without the others.

        Raises:
            UnavailableError: fewer than `least` are connected in time, or when the job is to stop.
        """
        end = time.monotonic() + patience.leg_s
        while True:
            devices = self._connected(patience)
            now = time.monotonic()
            over = now >= end or patience.stopped()
            settled = over or now >= self._newest_at + patience.grace_s
            if len(devices) == len(self._keys) or (settled and len(devices) >= least):
                return devices
            if over:
                raise UnavailableError(
                    f"{len(devices)} of the roster's {len(self._keys)} devices are connected, the round needs "
                    f"{least}: see that their SuperNodes run, with devices that the operator has enrolled"
                )
            time.sleep(_LOOK_AGAIN_S)

    def doubt(self, devices: Iterable[str]) -> None:
        """Have devices introduce themselves again: they did not answer, and may be another node by now."""
        doubted = set(devices)
        for node in [node for node, device in self._devices.items() if device in doubted]:
            del self._devices[node], self._again_at[node]

    def _strangers(self, nodes: set[int]) -> list[int]:
        now = time.monotonic()
        return [node for node in sorted(nodes - self._devices.keys()) if now >= self._again_at.get(node, 0.0)]

    def _connected(self, patience: Patience) -> dict[str, int]:
        """Ask who new nodes are, until there are none, and return those that are devices of the fleet."""
        nodes = set(self._fleet.nodes())
        while not patience.stopped() and (strangers := self._strangers(nodes)):
            self._meet(strangers, patience)
            nodes = set(self._fleet.nodes())
        # Of two nodes that are one device the later introduction counts: a restarted SuperNode is a new node.
        return {device: node for node, device in self._devices.items() if node in nodes}

    def _meet(self, nodes: list[int], patience: Patience) -> None:
        hellos = {node: Hello(run=self._run, nonce=secrets.token_hex(32)) for node in nodes}
        questions = {node: LegMessage.of(hello, self._document) for node, hello in hellos.items()}
        # A SuperNode that died is listed for a minute more: nobody is waited for longer than the grace.
        brief = Patience([], 0.0, patience.grace_s, patience.leg_s, patience.stopped)
        answers = self._fleet.ask("hello", questions, brief)
        self._again_at |= dict.fromkeys(nodes, time.monotonic() + _ASK_AGAIN_S)
        for node, answer in answers.items():
            try:
                self._devices[node] = self._introduced(node, hellos[node], answer)
                self._newest_at = time.monotonic()
            except PeerProtocolError as err:
                logger.warning("node %s: %s", node, err)

    def _introduced(self, node: int, hello: Hello, answer: LegMessage) -> str:
        if (refused := answer.refusal()) is not None:
            raise PeerProtocolError(f"it refuses ({refused.refused}): {refused.message}")
        words = answer.read(Introduction)
        key = self._keys.get(words.device)
        if key is None:
            raise PeerProtocolError(f"device {words.device} is not in the roster: the operator must enrol it")
        if not is_signed(introduction_bytes(hello, node), bytes.fromhex(words.signature), by=key):
            raise PeerProtocolError(f"it says that it is device {words.device}, whose key did not sign that")
        return words.device
