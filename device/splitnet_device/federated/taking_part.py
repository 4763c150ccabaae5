"""What a device answers in each leg; whatever goes wrong, the server hears a named reason and no internal text."""

import logging
from pathlib import Path

from splitnet.errors import (
    DeadlineExceededError,
    NotFoundError,
    OperatorError,
    PeerProtocolError,
    RefusalError,
    SplitNetError,
)
from splitnet.learn.identity import DeviceState
from splitnet.learn.legs import (
    SECURE_LEGS,
    UPDATE,
    Hello,
    Introduction,
    Leg,
    LegMessage,
    PlainUpdate,
    Refusal,
    introduction_bytes,
)
from splitnet.learn.local import run_training
from splitnet_device.federated.policy import read_federated_config
from splitnet_device.federated.sitting import Device, begin, go_on
from splitnet_device.federated.training import Lesson, Trainer, learn, read_lesson
from splitnet_device.federated.vault import Vault

logger = logging.getLogger(__name__)

# What the server is told of errors whose text is for the device's own log.
_TOLD: dict[type[SplitNetError], Refusal] = {
    NotFoundError: Refusal(refused="nothing-to-give", message="this device has too few samples, or no package"),
    DeadlineExceededError: Refusal(refused="too-slow", message="training did not end in time"),
    PeerProtocolError: Refusal(refused="malformed", message="the message does not fit this device's package"),
    OperatorError: Refusal(refused="not-ready", message="this device must be mended first; its log says how"),
}
_FAILED = Refusal(refused="failed", message="this device could not answer; its log says why")


class Participant:
    """A device in federated rounds.

    Args:
        state: its state directory (`splitnet keys device`), with `federated.toml` in it.
        vault_key: 32 bytes that stay the same from leg to leg and are nowhere on the disk.
        node: number of the node that it answers as.
        trainer: trains on its samples.
    """

    def __init__(self, state: Path, vault_key: bytes, node: int, trainer: Trainer = run_training) -> None:
        self._path = state
        self._vault_key = vault_key
        self._node = node
        self._trainer = trainer

    def answer(self, leg: Leg, message: LegMessage) -> LegMessage:
        """Return the answer to a leg, which may be a refusal; no error leaves."""
        try:
            return self._answer(leg, message)
        except RefusalError as err:
            logger.warning("leg %s refused (%s): %s", leg, err.reason, err)
            return LegMessage.of(Refusal(refused=err.reason, message=str(err)[:2000]))
        except SplitNetError as err:
            logger.warning("leg %s failed: %s", leg, err)
            told = next((_TOLD[kind] for kind in type(err).__mro__ if kind in _TOLD), _FAILED)
            return LegMessage.of(told)
        except Exception:  # the outermost loop of a device: nothing of the failure may reach the server
            logger.exception("leg %s failed", leg)
            return LegMessage.of(_FAILED)

    def _answer(self, leg: Leg, message: LegMessage) -> LegMessage:
        state = DeviceState(self._path)
        if leg == "hello":
            return self._introduce(state, message)
        device = self._device(state)
        if leg in SECURE_LEGS[1:]:
            return go_on(device, leg, message)
        lesson = read_lesson(message, device.config)
        if leg == "plain":
            return self._plain(device, lesson)
        if not lesson.task.settings.secure.enabled:
            raise RefusalError("the settings are those of a plain sum", reason="another-config")
        return begin(device, lesson)

    def _introduce(self, state: DeviceState, message: LegMessage) -> LegMessage:
        hello = message.read(Hello)
        key = state.key(read_federated_config(self._path).passphrase_bytes)
        if state.accept_roster(message.body).find(key.id) is None:
            raise RefusalError("this device is not in the roster: the operator must enrol it", reason="unpinned")
        signature = key.sign(introduction_bytes(hello, self._node))
        return LegMessage.of(Introduction(device=key.id, signature=signature.hex()))

    def _device(self, state: DeviceState) -> Device:
        config = read_federated_config(self._path)
        roster = state.roster()
        if roster is None:
            raise RefusalError("this device has seen no roster yet", reason="unpinned")
        return Device(
            key=state.key(config.passphrase_bytes),
            pinned=roster.keys,
            journal=state.journal,
            config=config,
            vault=Vault(self._path / "round", self._vault_key),
            state=self._path,
            trainer=self._trainer,
        )

    def _plain(self, device: Device, lesson: Lesson) -> LegMessage:
        task = lesson.task
        if task.settings.secure.enabled or not device.config.allow_plain:
            raise RefusalError("this device sends no update in the clear", reason="not-plain")
        place = task.place
        if not device.journal.claim(f"{place.run}/{place.round}/{place.attempt}/plain"):
            raise RefusalError("this round was answered before", reason="replayed")
        learned = learn(lesson, device.config, state=device.state, trainer=device.trainer)
        header = PlainUpdate(samples=learned.weight, metrics=learned.metrics)
        return LegMessage.of(header, vectors={UPDATE: learned.delta})
