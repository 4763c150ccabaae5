"""The secure sum beside the parts of Flower's SecAgg+: time to share, mask and unmask, and bytes, in one run.

Both have as many neighbours as the graph here asks for. Unmasking takes off up to so many masks as fit into a few
seconds on either side, and what they took is scaled to all of them. `--thousand` runs 1,000 whole devices instead.
"""

import argparse
import hashlib
import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flwr.common import ndarray_to_bytes
from flwr.common.secure_aggregation.crypto.shamir import combine_shares, create_shares
from flwr.common.secure_aggregation.crypto.symmetric_encryption import encrypt, generate_shared_key
from flwr.common.secure_aggregation.ndarrays_arithmetic import (
    factor_combine,
    parameters_addition,
    parameters_mod,
    parameters_subtraction,
)
from flwr.common.secure_aggregation.quantization import quantize
from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen, share_keys_plaintext_concat
from numpy.typing import NDArray

from benchmarks.harness import SEED, Figure, Options, interleave, median, ratio, show, timed_ms
from splitnet.learn.secure import (
    Contribution,
    DeviceRound,
    Encoding,
    Leg,
    Opened,
    Party,
    RoundContext,
    RoundRules,
    ServerRound,
)
from splitnet.learn.secure.contribution import encode
from splitnet.learn.secure.graph import neighbours_needed
from splitnet.learn.secure.opening import recover_secrets, remaining_masks, take_off
from splitnet.learn.secure.ring import Mask, Ring, add_masks

_CONTEXT = RoundContext("benchmark", 0, 0, "", b"m" * 32, b"c" * 32)
_DEVICES = (10, 50, 100)
_PARAMETERS = (10**5, 10**6, 10**7)
_DROPPED = (0.0, 0.1, 0.3)
#: The least that devices agree to; where 30 % drop out, the sum of the others still opens.
_RULES = RoundRules(threshold=2 / 3)
_MOST_WEIGHT = 1000
_THREADS = 2

# Words that are unmasked at most on either side in one call: 20 masks of 10^6, 2 of 10^7.
_MOST_WORDS = 2 * 10**7
_MOD_RANGE, _TARGET_RANGE, _CLIPPING_RANGE = 2**32, 2**22, 8.0


class _Journal:
    """A journal that forgets with the process."""

    def __init__(self) -> None:
        self._claimed: set[str] = set()

    def claim(self, key: str) -> bool:
        new = key not in self._claimed
        self._claimed.add(key)
        return new


@dataclass
class _Fleet:
    """Devices of one process, and one server.

    Attributes:
        parties: the devices.
        encoding: of their contributions.
        contribution: what each of them adds.
        up_bytes: what each device sent, vectors apart, by leg.
        down_bytes: what each device was sent, by leg that it answers.
        device_ms: what a device took, by leg, on average.
        server_ms: what the server took, by leg.
    """

    parties: dict[str, Party]
    encoding: Encoding
    contribution: Contribution

    def __post_init__(self) -> None:
        self.up_bytes: dict[Leg, float] = {}
        self.down_bytes: dict[Leg, float] = {}
        self.device_ms: dict[Leg, float] = {}
        self.server_ms: dict[Leg, float] = {}

    def run(self, lost: Collection[str]) -> ServerRound:
        """Run a round up to the opening; `lost` no longer send their vectors."""
        pinned = next(iter(self.parties.values())).pinned
        server = ServerRound(_CONTEXT, _RULES, self.encoding, pinned)
        devices: dict[str, DeviceRound] = {}
        inbox = dict.fromkeys(self.parties, b"")
        for leg in (Leg.ADVERTISE, Leg.SHARES, Leg.MASKED, Leg.CONFIRM, Leg.UNMASK):
            asked = [each for each in inbox if leg is not Leg.MASKED or each not in lost]
            start, took, sent = time.perf_counter(), 0.0, 0
            for device in asked:
                begun = time.perf_counter()
                message, ring = self._answer(leg, device, devices, inbox[device])
                took += time.perf_counter() - begun
                sent += len(message)
                reason = server.receive(device, message, ring)
                assert reason is None, server.dropped
            self.up_bytes[leg] = sent / len(asked)
            self.down_bytes[leg] = sum(map(len, inbox.values())) / len(asked)
            if leg is not Leg.UNMASK:
                inbox = server.advance()
            self.device_ms[leg] = 1e3 * took / len(asked)
            self.server_ms[leg] = 1e3 * (time.perf_counter() - start - took)
        return server

    def _answer(
        self, leg: Leg, device: str, devices: dict[str, DeviceRound], message: bytes
    ) -> tuple[bytes, Ring | None]:
        if leg is Leg.ADVERTISE:
            devices[device], answer = DeviceRound.begin(self.parties[device], _CONTEXT, _RULES, self.encoding)
            return answer, None
        mine = devices[device]
        if leg is Leg.MASKED:
            return mine.mask(message, self.contribution)
        steps = {Leg.SHARES: mine.share, Leg.CONFIRM: mine.confirm, Leg.UNMASK: mine.unmask}
        return steps[leg](message), None


def _fleet(count: int, parameters: int) -> _Fleet:
    keys: dict[str, Ed25519PrivateKey] = {}
    for _ in range(count):
        key = Ed25519PrivateKey.generate()
        keys[hashlib.sha256(key.public_key().public_bytes_raw()).hexdigest()[:16]] = key
    pinned = {device: key.public_key().public_bytes_raw() for device, key in keys.items()}
    parties = {device: Party(device, key.sign, pinned, _Journal()) for device, key in keys.items()}
    return _Fleet(parties, _encoding(count, parameters), Contribution(_delta(parameters), 500))


def _encoding(count: int, parameters: int) -> Encoding:
    return Encoding.plan(parameters=parameters, devices=count, clip=1.0, most_weight=_MOST_WEIGHT, error=1e-3)


def _delta(parameters: int) -> NDArray[np.float32]:
    values = np.random.default_rng(SEED).standard_normal(parameters, np.float32)
    values *= np.float32(0.9) / np.linalg.norm(values)
    return values


def main() -> None:
    """Measure and print."""
    options, thousand = _read_options()
    if thousand:
        show("1,000 devices of 100,000 parameters, one process", _thousand(), options)
        return
    figures: list[Figure] = []
    each_s = options.seconds / (len(_DEVICES) * (1 + len(_PARAMETERS) * (1 + len(_DROPPED))))
    for count in _DEVICES:
        figures += _sharing(count, each_s)
        figures += _bytes(count)
        for parameters in _PARAMETERS:
            figures += _masking(count, parameters, each_s)
        for dropped in _DROPPED:
            figures += _unmasking(count, dropped, each_s)
    show(f"secure sum beside SecAgg+ (theirs / ours), {_THREADS} threads to unmask", figures, options)


def _read_options() -> tuple[Options, bool]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, metavar="N", help="measure for so long, or longer")
    parser.add_argument("--thousand", action="store_true", help="run 1,000 devices of 100,000 parameters")
    parser.add_argument("--json", action="store_true", dest="json_output", help="print one JSON object")
    values = parser.parse_args()
    return Options(values.seconds, values.json_output), values.thousand


def _compared(
    name: str, calls: Mapping[str, Callable[[], object]], seconds: float, scale: float = 1
) -> list[Figure]:
    """Time "ours" and "theirs" in turns; `scale` is how often the whole holds what is timed."""
    taken = interleave(calls, seconds=seconds, block=1)
    return [
        Figure(f"{name}: ours, ms", scale * median(taken["ours"])),
        Figure(f"{name}: theirs / ours", ratio(taken["theirs"], taken["ours"]), ">= 3"),
    ]


def _sharing(count: int, seconds: float) -> list[Figure]:
    """Time the leg `shares` of one device, its checks of the others' signatures included in ours."""
    fleet = _fleet(count, 1)
    pinned = next(iter(fleet.parties.values())).pinned
    server = ServerRound(_CONTEXT, _RULES, fleet.encoding, pinned)
    begun = {
        each: DeviceRound.begin(party, _CONTEXT, _RULES, fleet.encoding) for each, party in fleet.parties.items()
    }
    for device, (_, message) in begun.items():
        server.receive(device, message)
    inbox = server.advance()
    device = next(iter(inbox))
    state = begun[device][0].to_bytes()

    def ours() -> bytes:
        own = fleet.parties[device]
        party = Party(own.id, own.sign, own.pinned, _Journal())
        mine = DeviceRound.from_bytes(state, party, _CONTEXT, _RULES, fleet.encoding)
        return mine.share(inbox[device])

    theirs = partial(_their_shares, 1 + neighbours_needed(count))
    calls: dict[str, Callable[[], object]] = {"ours": ours, "theirs": theirs}
    sizes = [
        Figure(f"{count} devices, shares: ours, bytes", len(ours())),
        Figure(f"{count} devices, shares: theirs / ours, bytes", theirs() / len(ours())),
    ]
    return sizes + _compared(f"{count} devices, shares", calls, seconds)


def _their_shares(holders: int) -> int:
    """Do as SecAgg+'s second stage does on a client, and return the bytes that leave it."""
    curve = ec.SECP384R1()
    own, other = (ec.generate_private_key(curve) for _ in range(2))
    threshold = holders // 2 + 1
    # Its private keys travel as PEM, 306 bytes.
    seeds = create_shares(os.urandom(32), threshold, holders)
    keys = create_shares(os.urandom(306), threshold, holders)
    sent = 0
    for number in range(holders - 1):
        shared = generate_shared_key(own, other.public_key())
        plain = share_keys_plaintext_concat(number, number, seeds[number], keys[number])
        sent += len(encrypt(shared, plain))
    return sent


def _masking(count: int, parameters: int, seconds: float) -> list[Figure]:
    """Time encoding and masking of one device, key agreement apart."""
    neighbours = neighbours_needed(count)
    encoding, delta = _encoding(count, parameters), _delta(parameters)
    # As SecAgg+ gets it: its annotation says float64, its parameters are float32.
    values: Any = delta
    masks = [Mask(os.urandom(32), subtracted=bool(each % 2)) for each in range(1 + neighbours)]

    def ours() -> Ring:
        ring = encode(encoding, Contribution(delta, 500))
        add_masks(ring, masks)
        return ring

    def theirs() -> list[NDArray[np.int64]]:
        vector = factor_combine(1, quantize([values], _CLIPPING_RANGE, _TARGET_RANGE))
        shapes = [each.shape for each in vector]
        for mask in masks:
            stream = pseudo_rand_gen(mask.key, _MOD_RANGE, shapes)
            vector = (parameters_subtraction if mask.subtracted else parameters_addition)(vector, stream)
        return parameters_mod(vector, _MOD_RANGE)

    calls: dict[str, Callable[[], object]] = {"ours": ours, "theirs": theirs}
    return _compared(f"{count} devices, {parameters:.0e} parameters, mask", calls, seconds)


def _bytes(count: int) -> list[Figure]:
    """Count what a device sends and gets in a round of 10^6 parameters."""
    fleet = _fleet(count, 1)
    fleet.run(())
    parameters = 10**6
    size = _encoding(count, parameters).size * 4
    up, down = sum(fleet.up_bytes.values()), sum(fleet.down_bytes.values())
    words = np.zeros(parameters, np.int64)
    return [
        Figure(f"{count} devices, 1e+06 parameters: up, bytes a parameter", (size + up) / parameters, "<= 4.2"),
        Figure(f"{count} devices: up beside the vector, bytes", up),
        Figure(f"{count} devices: down, bytes", down),
        Figure(f"{count} devices, vector: ours / theirs, bytes", size / len(ndarray_to_bytes(words)), "<= 0.5"),
    ]


def _unmasking(count: int, dropped: float, seconds: float) -> list[Figure]:
    """Time what the server does once all shares are in."""
    fleet = _fleet(count, 1)
    lost = list(fleet.parties)[: round(dropped * count)]
    server = fleet.run(lost)
    closed, unmasked = server._known_sets(), server._unmasked  # noqa: SLF001  (only the opening is timed)
    secrets = recover_secrets(closed, unmasked)
    masks = remaining_masks(closed, secrets)
    secrets_ms = median(
        [timed_ms(lambda: remaining_masks(closed, recover_secrets(closed, unmasked))) for _ in range(3)]
    )
    name = f"{count} devices, {dropped:.0%} dropped"
    figures = [Figure(f"{name}: secrets, ours, ms", secrets_ms), Figure(f"{name}: masks", len(masks))]
    figures += _their_secrets(count, name, secrets_ms)
    for parameters in _PARAMETERS:
        some = masks[: max(2, _MOST_WORDS // parameters)]
        ring, words = np.zeros(parameters, np.uint32), [np.zeros(parameters, np.int64)]
        calls: dict[str, Callable[[], object]] = {
            "ours": partial(take_off, ring, some, threads=_THREADS),
            "theirs": partial(_take_off_theirs, words, some),
        }
        title = f"{name}, {parameters:.0e} parameters, unmask"
        figures += _compared(title, calls, seconds, len(masks) / len(some))
    return figures


def _their_secrets(count: int, name: str, ours_ms: float) -> list[Figure]:
    holders = 1 + neighbours_needed(count)
    threshold = holders // 2 + 1
    shares = create_shares(os.urandom(32), threshold, holders)[:threshold]
    one_ms = median([timed_ms(lambda: combine_shares(shares)) for _ in range(3)])
    return [Figure(f"{name}: secrets, theirs / ours (one seed, times {count})", count * one_ms / ours_ms, ">= 3")]


def _take_off_theirs(words: list[NDArray[np.int64]], masks: list[Mask]) -> list[NDArray[np.int64]]:
    for mask in masks:
        stream = pseudo_rand_gen(mask.key, _MOD_RANGE, [each.shape for each in words])
        words = (parameters_subtraction if mask.subtracted else parameters_addition)(words, stream)
    return parameters_mod(words, _MOD_RANGE)


def _thousand() -> list[Figure]:
    fleet = _fleet(1000, 10**5)
    lost = list(fleet.parties)[::10]
    start = time.perf_counter()
    server = fleet.run(lost)
    opening = time.perf_counter()
    opened: Opened = server.open(threads=_THREADS)
    done = time.perf_counter()
    mean = fleet.contribution.delta.astype(np.float64)
    figures = [Figure("seconds", done - start), Figure("neighbours", neighbours_needed(1000))]
    figures += [Figure("dropped", len(lost)), Figure("survivors", len(opened.devices))]
    figures += [Figure(f"a device, {leg.name.lower()}, ms", taken) for leg, taken in fleet.device_ms.items()]
    figures += [Figure(f"a device, {leg.name.lower()}: up, bytes", sent) for leg, sent in fleet.up_bytes.items()]
    figures += [Figure(f"a device, {leg.name.lower()}: down, bytes", got) for leg, got in fleet.down_bytes.items()]
    figures += [Figure(f"server, {leg.name.lower()}, s", taken / 1e3) for leg, taken in fleet.server_ms.items()]
    figures.append(Figure("server, opening, s", done - opening))
    error = float(np.abs(opened.mean - mean).max())
    figures.append(Figure("largest error of the mean, millionths", 1e6 * error, "< 10"))
    return figures


if __name__ == "__main__":
    main()
