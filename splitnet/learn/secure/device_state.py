"""What a device remembers between two legs, as bytes: they hold secrets, and the caller seals them."""

from dataclasses import dataclass, field
from enum import IntEnum

from splitnet.learn.secure.context import DIGEST_BYTES, RoundContext
from splitnet.learn.secure.keys import PUBLIC_KEY_BYTES
from splitnet.learn.secure.messages import Ids, Table
from splitnet.learn.secure.shamir import SHARE_BYTES
from splitnet.learn.secure.wire import Reader, id_list, number, table

_VERSION = 1


class Stage(IntEnum):
    """The last leg that the device has answered."""

    ADVERTISED = 1
    SHARED = 2
    MASKED = 3
    CONFIRMED = 4
    DONE = 5


@dataclass(slots=True)
class DeviceState:
    """A device in a round.

    Attributes:
        stage: what it did last.
        mask_key: private X25519 key of its masks; wiped once masked.
        seal_key: private X25519 key of sealed shares; wiped once masked.
        seed: of its own mask; wiped once masked.
        devices: everyone in the round, with the digests of their advertisements.
        peers: public mask key and seal key of each neighbour.
        shares: for each neighbour, a share of its seed and one of its mask key; for itself, the first alone.
        sharers: who sent shares.
        survivors: the set that it confirmed.
    """

    stage: Stage
    mask_key: bytearray
    seal_key: bytearray
    seed: bytearray = field(default_factory=bytearray)
    devices: Table = field(default_factory=dict)
    peers: Table = field(default_factory=dict)
    shares: dict[str, bytearray] = field(default_factory=dict)
    sharers: Ids = ()
    survivors: Ids = ()

    def wipe_keys(self) -> None:
        """Overwrite and forget what is not needed once the vector is masked."""
        for secret in (self.mask_key, self.seal_key, self.seed):
            _wipe(secret)

    def wipe(self) -> None:
        """Overwrite and forget every secret.

        Copies that Python, numpy or OpenSSL made on the way (immutable bytes, key objects) cannot be overwritten.
        """
        self.wipe_keys()
        for share in self.shares.values():
            _wipe(share)
        self.shares.clear()
        self.stage = Stage.DONE

    def to_bytes(self, context: RoundContext) -> bytes:
        """Return the state, secrets and all."""
        secrets = b"".join(number(len(each), 1) + each for each in (self.mask_key, self.seal_key, self.seed))
        tables = table(self.devices) + table(self.peers)
        shares = table({device: bytes(share) for device, share in self.shares.items()})
        head = number(_VERSION, 1) + number(self.stage, 1) + context.to_bytes()
        return head + secrets + tables + shares + id_list(self.sharers) + id_list(self.survivors)

    @staticmethod
    def from_bytes(data: bytes, context: RoundContext) -> "DeviceState":
        """Read what `to_bytes` wrote.

        Raises:
            RefusalError: it is damaged (malformed), or of another round, model or configuration.
        """
        reader = Reader(data, "state of a device")
        version, stage = reader.number(1), reader.number(1)
        if version != _VERSION or stage not in set(Stage):
            raise reader.malformed(f"version {version}, stage {stage}")
        context.check(RoundContext.read(reader), "state of a device")
        mask_key, seal_key, seed = (bytearray(reader.take(reader.number(1))) for _ in range(3))
        devices, peers = reader.table(DIGEST_BYTES), reader.table(2 * PUBLIC_KEY_BYTES)
        shares = {device: bytearray(share) for device, share in reader.table(2 * SHARE_BYTES).items()}
        sharers, survivors = reader.id_list(), reader.id_list()
        reader.end()
        return DeviceState(Stage(stage), mask_key, seal_key, seed, devices, peers, shares, sharers, survivors)


def _wipe(secret: bytearray) -> None:
    secret[:] = bytes(len(secret))
    secret.clear()
