"""RoundContext: which sum this is. Every signature, derived key and associated data is bound to it."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

from splitnet.errors import InvalidArgumentError
from splitnet.learn.secure.reasons import Reason, refusal
from splitnet.learn.secure.wire import Reader, id_bytes, number, text_field

DIGEST_BYTES = 32

#: Separates what is signed and derived here from any other use of the same keys; the number is the version.
DOMAIN = b"splitnet secure sum 1"

_MOST_TEXT_BYTES = 100


@dataclass(frozen=True)
class RoundContext:
    """What a device takes part in.

    Attributes:
        run: names the job, at most 100 bytes of UTF-8.
        round: number of the round in the run.
        attempt: number of the try at this round; a new try has new keys.
        cohort: whose devices are summed, at most 100 bytes of UTF-8.
        model_digest: SHA-256 of the model that the round began with, as the device itself computed it, 32 bytes.
        config_digest: SHA-256 of the settings that the device accepted, 32 bytes.
    """

    run: str
    round: int
    attempt: int
    cohort: str
    model_digest: bytes
    config_digest: bytes

    def __post_init__(self) -> None:
        for name in ("run", "cohort"):
            if len(getattr(self, name).encode()) > _MOST_TEXT_BYTES:
                raise InvalidArgumentError(f"{name} {getattr(self, name)!r}: at most {_MOST_TEXT_BYTES} bytes")
        for name, least, bits in (("round", 0, 32), ("attempt", 0, 16)):
            if not least <= getattr(self, name) < 2**bits:
                raise InvalidArgumentError(f"{name} {getattr(self, name)}: expected 0 to 2^{bits} - 1")
        for name in ("model_digest", "config_digest"):
            if len(getattr(self, name)) != DIGEST_BYTES:
                raise InvalidArgumentError(f"{name}: expected 32 bytes, not {len(getattr(self, name))}")

    def to_bytes(self) -> bytes:
        """Return the context as it stands in every message."""
        names = text_field(self.run) + number(self.round, 4) + number(self.attempt, 2) + text_field(self.cohort)
        return names + self.model_digest + self.config_digest

    @staticmethod
    def read(reader: Reader) -> "RoundContext":
        """Read what `to_bytes` wrote.

        Raises:
            RefusalError: it is no context (malformed).
        """
        run, round_, attempt, cohort = (
            reader.text_field(),
            reader.number(4),
            reader.number(2),
            reader.text_field(),
        )
        model, config = reader.take(DIGEST_BYTES), reader.take(DIGEST_BYTES)
        try:
            return RoundContext(run, round_, attempt, cohort, model, config)
        except InvalidArgumentError as err:
            raise reader.malformed(str(err)) from err

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the context, 32 bytes."""
        return hashlib.sha256(DOMAIN + self.to_bytes()).digest()

    @property
    def names(self) -> tuple[str, int, int, str]:
        """Run, round, attempt and cohort."""
        return self.run, self.round, self.attempt, self.cohort

    def info(self, purpose: str, sender: str, receiver: str, view: bytes = b"") -> bytes:
        """Return what a derived key or a ciphertext is bound to.

        Args:
            purpose: what the key is for.
            sender: id of the device that the thing comes from.
            receiver: id of the device that it is for.
            view: digest of what both sides must have been shown alike.
        """
        return DOMAIN + text_field(purpose) + self.digest + id_bytes(sender) + id_bytes(receiver) + view

    def check(self, other: "RoundContext", whose: str) -> None:
        """Compare with the context of a message.

        Raises:
            RefusalError: another round (another-round), model (another-model) or settings (another-config).
        """
        if self.names != other.names:
            raise refusal(
                Reason.ANOTHER_ROUND,
                f"{whose}: run, round, attempt and cohort {other.names} where {self.names} are under way",
            )
        if self.model_digest != other.model_digest:
            raise refusal(
                Reason.ANOTHER_MODEL,
                f"{whose}: model {other.model_digest.hex()[:16]} where this round began with "
                f"{self.model_digest.hex()[:16]}: somebody was given another model",
            )
        if self.config_digest != other.config_digest:
            raise refusal(
                Reason.ANOTHER_CONFIG,
                f"{whose}: settings {other.config_digest.hex()[:16]} where {self.config_digest.hex()[:16]} were "
                "accepted: somebody was given others",
            )

    def claim_key(self, leg: str) -> str:
        """Return what a journal records for a leg: digest of run, round and attempt, then the leg."""
        return f"{self._names_digest(self.attempt)}/{leg}"

    @property
    def open_key(self) -> str:
        """What a journal records once for all attempts at this round: that the device agreed to open it."""
        return f"{self._names_digest(None)}/open"

    def _names_digest(self, attempt: int | None) -> str:
        which = b"any" if attempt is None else number(attempt, 2)
        return hashlib.sha256(DOMAIN + text_field(self.run) + number(self.round, 4) + which).hexdigest()
