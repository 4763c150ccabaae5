"""The operator's roster on disk: read, changed, signed and replaced in one go."""

from collections.abc import Sequence
from pathlib import Path

from splitnet.errors import ConfigError, InvalidArgumentError, NotFoundError
from splitnet.learn.identity.enrolment import Enrolment
from splitnet.learn.identity.lock import locked
from splitnet.learn.identity.roster import MOST_BYTES, Roster, RosterEntry, read_roster, sign_roster
from splitnet.signing.keys import OperatorKey
from splitnet.signing.public_file import read_public_bytes
from splitnet.whole_file import write_whole


def load_roster(path: Path, operator: bytes | None) -> Roster:
    """Read and verify a roster's file; `operator` as in `read_roster`.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: `read_roster` refuses it.
    """
    try:
        return read_roster(read_public_bytes(path, most_bytes=MOST_BYTES), operator)
    except ConfigError as err:
        raise ConfigError(f"{path}: {err}") from err


def enrol_devices(
    path: Path, operator: OperatorKey, *, enrolments: Sequence[Enrolment], model: str | None = None
) -> Roster:
    """Add devices, or give those with the same key their new name and site; return the roster as it is then.

    A roster that this leaves as it was keeps its version.

    Args:
        path: of the roster; where there is none, version 1 is written.
        operator: who signs it.
        enrolments: of the devices.
        model: whose fleet it is; needed for a new roster, and for any other it must agree.

    Raises:
        InvalidArgumentError: no model for a new roster, or another model than the roster's.
        ConfigError: the roster is damaged or of another operator, or a name is taken.
        OperatorError: the disk refuses; what was there is still there.
    """
    with locked(path.parent):
        before = load_roster(path, operator.public) if path.exists() else None
        name = _model_of(before, model, path)
        devices = {} if before is None else {entry.id: entry for entry in before.devices}
        for each in enrolments:
            devices[each.id] = RosterEntry(id=each.id, public_key=each.public_key, name=each.name, site=each.site)
        after = before.changed(devices.values()) if before else Roster.first(name, devices.values())
        return _written(path, operator, before=before, after=after)


def revoke_devices(path: Path, operator: OperatorKey, *, ids: Sequence[str]) -> Roster:
    """Take devices off; return the roster as it is then.

    Raises:
        NotFoundError: there is no roster, or no device with such an id.
        ConfigError: the roster is damaged or of another operator.
        OperatorError: the disk refuses; what was there is still there.
    """
    with locked(path.parent):
        before = load_roster(path, operator.public)
        if unknown := [id_[:80] for id_ in ids if before.find(id_) is None]:
            raise NotFoundError(f"{path}: no device {', '.join(unknown)}; `splitnet keys list` shows the ids")
        after = before.changed(entry for entry in before.devices if entry.id not in set(ids))
        return _written(path, operator, before=before, after=after)


def _model_of(before: Roster | None, model: str | None, path: Path) -> str:
    if before is None and model is None:
        raise InvalidArgumentError(f"{path}: a new roster needs the name of its model: --model NAME")
    if before is not None and model not in (None, before.model):
        raise InvalidArgumentError(f"{path}: the roster of model {before.model!r}, not of {model!r}")
    return model or (before.model if before else "")


def _written(path: Path, operator: OperatorKey, *, before: Roster | None, after: Roster) -> Roster:
    if before is not None and before.devices == after.devices:
        return before
    write_whole(sign_roster(after, operator), path)
    return after
