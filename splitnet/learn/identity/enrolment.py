"""What a device gives the operator so as to be enrolled: its public key and name, signed by itself."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from splitnet.config import Frozen, describe
from splitnet.errors import ConfigError, InvalidArgumentError
from splitnet.learn.identity.signed import open_document, sign_document
from splitnet.signing.keys import DeviceKey, PublicKey, device_id
from splitnet.signing.public_file import read_public_bytes
from splitnet.whole_file import write_whole

#: Names of devices and sites; ASCII, so that they are written in one way only.
Name = Annotated[
    str,
    Field(
        pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\z",
        description="up to 64 letters, digits, '.', '_' and '-', a letter or digit first",
    ),
]


class Enrolment(Frozen):
    """A device that asks to be enrolled.

    Attributes:
        name: what people call it.
        site: where it stands; devices of a site form a cohort.
        public_key: raw, 32 bytes.
    """

    name: Name
    site: Name
    public_key: PublicKey

    @property
    def id(self) -> str:
        """The device's id."""
        return device_id(self.public_key)


def make_enrolment(name: str, site: str, key: DeviceKey) -> Enrolment:
    """Return what a device with this key says of itself.

    Raises:
        InvalidArgumentError: name or site is not up to 64 letters, digits, `.`, `_`, `-`, a letter or digit first.
    """
    try:
        return Enrolment(name=name, site=site, public_key=key.public)
    except ValidationError as err:
        raise InvalidArgumentError(describe(err, Enrolment)) from err


def write_enrolment(enrolment: Enrolment, key: DeviceKey, path: Path) -> None:
    """Write the enrolment file, signed: nobody can have another's key enrolled as theirs.

    Raises:
        OperatorError: the disk refuses.
    """
    assert enrolment.public_key == key.public
    write_whole(sign_document("enrolment/1", enrolment.model_dump(mode="json"), key), path)


def read_enrolment(path: Path, *, site: str | None = None) -> Enrolment:
    """Read and verify an enrolment file.

    Args:
        path: of the file.
        site: the operator's word instead of the device's, None to take the device's.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: damaged, altered, or signed by another key than the one it enrols.
    """
    try:
        content, signer = open_document("enrolment/1", read_public_bytes(path, most_bytes=4096))
        enrolment = Enrolment.model_validate(content if site is None else content | {"site": site})
    except ConfigError as err:
        raise ConfigError(f"{path}: {err}") from err
    except ValidationError as err:
        raise ConfigError(f"{path}: {describe(err, Enrolment)}") from err
    if enrolment.public_key != signer:
        raise ConfigError(f"{path}: enrols a key that did not sign it; make it anew with `splitnet keys device`")
    return enrolment
