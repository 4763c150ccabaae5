"""The roster: which devices belong to the fleet, signed by the operator."""

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from splitnet.config import Frozen, describe
from splitnet.errors import ConfigError
from splitnet.learn.identity.enrolment import Name
from splitnet.learn.identity.signed import open_document, sign_document
from splitnet.signing.keys import OperatorKey, PublicKey, device_id

#: Devices in a roster; a longer one is refused.
MOST_DEVICES = 100_000
#: Bytes of a roster's file: 250 a device in its indented form.
MOST_BYTES = 250 * MOST_DEVICES


class RosterEntry(Frozen):
    """A device of the fleet.

    Attributes:
        id: follows from the key (`device_id`).
        public_key: raw Ed25519, 32 bytes.
        name: what people call it.
        site: its cohort.
    """

    id: str
    public_key: PublicKey
    name: Name
    site: Name

    @model_validator(mode="after")
    def _id_is_of_the_key(self) -> Self:
        if self.id != device_id(self.public_key):
            raise ValueError(f"device {self.name}: id {self.id[:80]!r} does not belong to its key")
        return self


class Roster(Frozen):
    """The fleet of one model.

    Attributes:
        model: name of the model that these devices may train together.
        version: grows by one with every change.
        devices: by id, no two with the same id or name.
    """

    model: Name
    version: Annotated[int, Field(ge=1, le=2**31 - 1)]
    devices: Annotated[tuple[RosterEntry, ...], Field(max_length=MOST_DEVICES)]

    @model_validator(mode="after")
    def _devices_are_distinct(self) -> Self:
        ids = [entry.id for entry in self.devices]
        if any(left >= right for left, right in itertools.pairwise(ids)):
            raise ValueError("devices must be in order of their ids, each once")
        if len({entry.name for entry in self.devices}) < len(ids):
            raise ValueError("two devices have the same name")
        return self

    def find(self, device: str) -> RosterEntry | None:
        """Return the entry with this id, or None."""
        return next((entry for entry in self.devices if entry.id == device), None)

    @property
    def keys(self) -> dict[str, bytes]:
        """Raw public keys by id."""
        return {entry.id: entry.public_key for entry in self.devices}

    @property
    def sites(self) -> dict[str, str]:
        """Sites by id."""
        return {entry.id: entry.site for entry in self.devices}

    @property
    def digest(self) -> bytes:
        """SHA-256 of the roster as canonical JSON, 32 bytes: what peers compare to see that theirs is the same."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).digest()

    def changed(self, devices: Iterable[RosterEntry]) -> "Roster":
        """Return the next version, with these devices in place of the others.

        Raises:
            ConfigError: two of them have the same id or name, or there are too many.
        """
        return _made(self.model, self.version + 1, devices)

    @classmethod
    def first(cls, model: str, devices: Iterable[RosterEntry]) -> "Roster":
        """Return version 1.

        Raises:
            ConfigError: the model's name is none, two devices have the same id or name, or there are too many.
        """
        return _made(model, 1, devices)


def sign_roster(roster: Roster, operator: OperatorKey) -> bytes:
    """Return the roster's file."""
    return sign_document("roster/1", roster.model_dump(mode="json"), operator)


def read_roster(document: bytes, operator: bytes | None, *, least_version: int = 1) -> Roster:
    """Read and verify a roster.

    Args:
        document: its file; whoever relays it need not be trusted.
        operator: the raw public key that must have signed it; None, for showing only, takes the key within.
        least_version: the newest version seen so far; an older one is a roll-back and refused.

    Raises:
        ConfigError: damaged, altered, signed by another operator, older, or not a possible roster.
    """
    if len(document) > MOST_BYTES:
        raise ConfigError(f"roster: more than {MOST_BYTES} bytes")
    content, _ = open_document("roster/1", document, signer=operator)
    roster = _validated(content)
    if roster.version < least_version:
        raise ConfigError(
            f"roster: version {roster.version} is older than version {least_version}, which was seen already: "
            "ask the operator for the newest"
        )
    return roster


def _made(model: str, version: int, devices: Iterable[RosterEntry]) -> Roster:
    ordered = tuple(sorted(devices, key=lambda entry: entry.id))
    return _validated({"model": model, "version": version, "devices": ordered})


def _validated(content: Mapping[str, object]) -> Roster:
    try:
        return Roster.model_validate(content)
    except ValidationError as err:
        raise ConfigError(f"roster: {describe(err, Roster)}") from err
