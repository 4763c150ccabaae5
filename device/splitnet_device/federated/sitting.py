"""A device in one secure sum, from leg to leg, each in a process of its own: what it needs lies in the vault."""

from dataclasses import dataclass
from pathlib import Path

from splitnet.errors import RefusalError
from splitnet.learn.identity import DeviceKey, Journal
from splitnet.learn.legs import MASKED, Done, Leg, LegMessage, Place, Task
from splitnet.learn.local.frame import pack, unpack
from splitnet.learn.secure import Contribution, DevicePolicy, DeviceRound, Party, RoundContext
from splitnet.learn.sum_plan import SumPlan, plan_sum
from splitnet.tensors import Array
from splitnet_device.federated.policy import FederatedConfig
from splitnet_device.federated.training import Lesson, Trainer, learn
from splitnet_device.federated.vault import Vault

# Pieces of the vault: what the sum is, the protocol's state, and the update until it is masked.
_TASK = "task"
_STATE = "state"
_UPDATE = "update"


@dataclass(frozen=True, slots=True)
class Device:
    """What a device brings to every sum.

    Attributes:
        key: its identity.
        pinned: raw public keys of the fleet by id, from the operator's roster.
        journal: what it has answered.
        config: its own terms.
        vault: for what must outlive a leg.
        state: its state directory.
        trainer: trains on its samples.
    """

    key: DeviceKey
    pinned: dict[str, bytes]
    journal: Journal
    config: FederatedConfig
    vault: Vault
    state: Path
    trainer: Trainer


def begin(device: Device, lesson: Lesson) -> LegMessage:
    """Leg "update": claim the round, train, and send the keys of this round.

    Raises:
        RefusalError: the secure sum's rules, or the round was answered before.
        SplitNetError: training failed.
    """
    context, plan = _terms(lesson.task, lesson.model_digest, len(lesson.parameters))
    round_, message = DeviceRound.begin(_party(device, plan), context, plan.rules, plan.encoding)
    forget(device)
    learned = learn(lesson, device.config, state=device.state, trainer=device.trainer)
    # The parameters' number is all that later legs need of them.
    header = {"task": lesson.task.model_dump(mode="json"), "model": lesson.model_digest.hex()}
    empty = lesson.parameters[:0]
    device.vault.put(_TASK, pack(header | {"parameters": len(lesson.parameters)}, empty))
    device.vault.put(_UPDATE, pack({"weight": learned.weight, "metrics": learned.metrics}, learned.delta))
    device.vault.put(_STATE, round_.to_bytes())
    return LegMessage.of(Done(), message)


def go_on(device: Device, leg: Leg, message: LegMessage) -> LegMessage:
    """Answer one of the legs after "update".

    Raises:
        RefusalError: the secure sum's rules; another round than the one that was begun.
    """
    header, _ = unpack(device.vault.get(_TASK))
    task = Task.model_validate(header["task"])
    if message.read(Place) != task.place:
        raise RefusalError("another round than the one that this device is in", reason="another-round")
    context, plan = _terms(task, bytes.fromhex(header["model"]), header["parameters"])
    party = _party(device, plan)
    round_ = DeviceRound.from_bytes(device.vault.get(_STATE), party, context, plan.rules, plan.encoding)
    body, vectors = _answer(device, leg, round_, plan, message.body)
    if leg == "unmask":
        forget(device)
    else:
        device.vault.put(_STATE, round_.to_bytes())
    return LegMessage.of(Done(), body, vectors)


def forget(device: Device) -> None:
    """Drop all that is left of a round."""
    for piece in (_STATE, _UPDATE, _TASK):
        device.vault.drop(piece)


def _answer(
    device: Device, leg: Leg, round_: DeviceRound, plan: SumPlan, body: bytes
) -> tuple[bytes, dict[str, Array]]:
    if leg == "masked":
        contribution = _contribution(device, plan)
        message, ring = round_.mask(body, contribution)
        device.vault.drop(_UPDATE)
        return message, {MASKED: ring}
    steps = {"shares": round_.share, "confirm": round_.confirm, "unmask": round_.unmask}
    return steps[leg](body), {}


def _contribution(device: Device, plan: SumPlan) -> Contribution:
    header, delta = unpack(device.vault.get(_UPDATE))
    noise = None if plan.noise is None else plan.noise.sample(len(delta))
    return Contribution(delta, header["weight"], header["metrics"], noise)


def _terms(task: Task, model_digest: bytes, parameters: int) -> tuple[RoundContext, SumPlan]:
    place = task.place
    context = RoundContext(place.run, place.round, place.attempt, place.cohort, model_digest, task.settings.digest)
    return context, plan_sum(task.settings, parameters=parameters, devices=task.devices)


def _party(device: Device, plan: SumPlan) -> Party:
    """Return the device as the protocol sees it.

    With distributed noise, a sum of fewer devices than the noise was shared among would promise too much.
    """
    config = device.config
    least_peers = max(config.least_peers, plan.least_devices - 1)
    return Party(
        id=device.key.id,
        sign=device.key.sign,
        pinned=device.pinned,
        journal=device.journal,
        policy=DevicePolicy(least_peers, config.least_threshold),
    )
