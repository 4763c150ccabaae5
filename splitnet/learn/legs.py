"""What server and devices say to one another in a round, free of any transport's types.

A round is a sequence of legs. In each the server sends a `LegMessage` to every device that is still in, and takes
their answers. The header is small and validated; `body` is a message of the secure sum; vectors are numpy arrays.
docs/federated.md has the table of legs.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError

from splitnet.config import Frozen, describe
from splitnet.errors import PeerProtocolError
from splitnet.learn.settings import FederatedSettings
from splitnet.tensors import Array

#: A device tells who it is; then the five legs of a secure sum; "plain" is the one leg of a round without.
Leg = Literal["hello", "update", "shares", "masked", "confirm", "unmask", "plain"]

#: The legs of a secure sum, in order.
SECURE_LEGS: tuple[Leg, ...] = ("update", "shares", "masked", "confirm", "unmask")

#: All of them.
LEGS: tuple[Leg, ...] = ("hello", *SECURE_LEGS, "plain")

#: Names of vectors: the round's parameters, to a device; its masked vector, from it; its update, in plain mode.
PARAMETERS = "parameters"
UPDATE = "update"
MASKED = "masked"

_Name = Annotated[str, Field(min_length=1, max_length=64)]
_Hex32 = Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]

Header = TypeVar("Header", bound=Frozen)


@dataclass(frozen=True, slots=True, eq=False)
class LegMessage:
    """One message of a leg, to a device or from it.

    Attributes:
        header: JSON text of one of the headers below.
        body: a message of the secure sum, or a roster; empty where there is none.
        vectors: arrays by name.
    """

    header: bytes
    body: bytes = b""
    vectors: Mapping[str, Array] = field(default_factory=dict)

    @classmethod
    def of(cls, header: Frozen, body: bytes = b"", vectors: Mapping[str, Array] | None = None) -> "LegMessage":
        """Return a message with this header."""
        return cls(header.model_dump_json().encode(), body, vectors or {})

    @property
    def size_bytes(self) -> int:
        """Bytes of header, body and vectors, without the transport's framing."""
        return len(self.header) + len(self.body) + sum(vector.nbytes for vector in self.vectors.values())

    def read(self, kind: type[Header]) -> Header:
        """Return the header as `kind`.

        Raises:
            PeerProtocolError: it is something else; where the peer said why, its words.
        """
        try:
            return kind.model_validate_json(self.header)
        except ValidationError as err:
            problem = f"{kind.__name__}: {describe(err, kind)}"
            raise PeerProtocolError(f"header of a leg: {problem}: {self.header[:200]!r}") from err

    def refusal(self) -> "Refusal | None":
        """Return why the device did not answer, None if it did."""
        try:
            return Refusal.model_validate_json(self.header)
        except ValidationError:
            return None


class Hello(Frozen):
    """To a node: who are you? The operator's roster is the body.

    Attributes:
        run: name of the job, the same through all its rounds and restarts.
        nonce: chosen by the server for this question.
    """

    run: _Name
    nonce: _Hex32


class Introduction(Frozen):
    """From a node: the device that it is.

    Attributes:
        device: its id.
        signature: of `introduction_bytes`, by the device's key.
    """

    device: Annotated[str, Field(pattern=r"\A[0-9a-f]{16}\z")]
    signature: Annotated[str, Field(pattern=r"\A[0-9a-f]{128}\z")]


class Place(Frozen):
    """To a device: which sum a message belongs to; the header of the legs after the first.

    Attributes:
        run: name of the job.
        round: number of the round, from 1.
        attempt: at the round, from 1.
        cohort: whose devices are summed.
    """

    run: _Name
    round: Annotated[int, Field(ge=1, lt=2**31)]
    attempt: Annotated[int, Field(ge=1, lt=2**15)]
    cohort: _Name


class Task(Frozen):
    """To a device: train on the vector `PARAMETERS`; the header of the legs "update" and "plain".

    Attributes:
        place: which sum it is for.
        devices: how many are asked for that sum, which its encoding must have room for.
        settings: of the job.
    """

    place: Place
    devices: Annotated[int, Field(ge=1, le=65_535)]
    settings: FederatedSettings


class Done(Frozen):
    """From a device: the leg is done; the message of the secure sum is the body."""

    done: Literal[True] = True


class PlainUpdate(Frozen):
    """From a device in plain mode: its clipped update is the vector `UPDATE`.

    Attributes:
        samples: the weight of the update.
        metrics: sums over samples, divided by `samples`.
    """

    samples: Annotated[int, Field(ge=1)]
    metrics: Mapping[str, float]


class Refusal(Frozen):
    """From a device: why it does not answer.

    Attributes:
        refused: name of the reason, such as "replayed".
        message: for a person; holds nothing of the device's data.
    """

    refused: Annotated[str, Field(min_length=1, max_length=64)]
    message: Annotated[str, Field(max_length=2000)]


def introduction_bytes(hello: Hello, node: int) -> bytes:
    """Return what a device signs to introduce itself: nobody else can pass for it, nor it for another node."""
    text = json.dumps(["splitnet hello 1", hello.run, hello.nonce, node], separators=(",", ":"))
    return text.encode()
