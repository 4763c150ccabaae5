"""A device's state directory: its key, whom it trusts, the last roster, and what it has answered."""

import stat
from pathlib import Path

from splitnet.errors import ConfigError, NotFoundError, OperatorError
from splitnet.learn.identity.enrolment import Enrolment, make_enrolment, write_enrolment
from splitnet.learn.identity.journal import Journal
from splitnet.learn.identity.lock import locked
from splitnet.learn.identity.roster import MOST_BYTES, Roster, read_roster
from splitnet.signing.keys import DeviceKey, device_id
from splitnet.signing.public_file import read_public_bytes, read_public_key, write_public_key
from splitnet.whole_file import write_whole


class DeviceState:
    """The directory and what lies in it (docs/identities.md); nothing in it is ever half-written.

    Attributes:
        path: of the directory.
        key_path: of the device's private key.
    """

    def __init__(self, path: Path) -> None:
        """Open a directory that is there.

        Raises:
            NotFoundError: it is not.
            ConfigError: others may write into it, and so change whom the device trusts.
        """
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError as err:
            raise NotFoundError(f"{path}: no state directory; make one with `splitnet keys device`") from err
        if mode & 0o022:
            raise ConfigError(f"{path}: others may write into it (mode {mode:04o}): run `chmod go-w {path}`")
        self.path = path
        self.key_path = path / "device.key"
        self._operator_path = path / "operator.pub"
        self._roster_path = path / "roster.json"

    @classmethod
    def create(cls, path: Path) -> "DeviceState":
        """Make the directory, for its owner alone, where there is none, and open it.

        Raises:
            OperatorError: it cannot be made.
            ConfigError: others may write into it.
        """
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as err:
            raise OperatorError(f"{path}: cannot be made: {err.strerror}") from err
        return cls(path)

    def key(self, passphrase: bytes | None = None) -> DeviceKey:
        """Return the device's key; see `DeviceKey.load`."""
        return DeviceKey.load(self.key_path, passphrase)

    def enrolment(self, name: str, site: str, *, passphrase: bytes | None = None) -> tuple[Enrolment, Path]:
        """Make a key where there is none, write NAME.enrolment.json for the operator, return its content and path.

        Raises:
            InvalidArgumentError: name or site is none.
            ConfigError: the key that is there cannot be used.
            OperatorError: the disk refuses.
        """
        with locked(self.path):
            new = not self.key_path.exists()
            key = DeviceKey.generate() if new else self.key(passphrase)
            enrolment = make_enrolment(name, site, key)
            if new:
                key.save(self.key_path, passphrase)
            path = self.path / f"{name}.enrolment.json"
            write_enrolment(enrolment, key, path)
        return enrolment, path

    @property
    def journal(self) -> Journal:
        """What the device has answered."""
        return Journal(self.path / "journal")

    def operator(self) -> bytes:
        """Return the raw public key of the operator whom the device trusts.

        Raises:
            ConfigError: it trusts none yet, or the file is damaged.
        """
        try:
            return read_public_key(self._operator_path)
        except NotFoundError as err:
            raise ConfigError(f"{self.path}: trusts no operator yet; run `splitnet keys trust`") from err

    def trust(self, operator: bytes, *, replace: bool = False) -> None:
        """Pin the operator whose rosters count.

        Args:
            operator: raw public key.
            replace: give up another operator whom the device trusts, and that operator's roster.

        Raises:
            ConfigError: it trusts another, and `replace` is False.
            OperatorError: the disk refuses.
        """
        with locked(self.path):
            if self._operator_path.exists():
                before = self.operator()
                if before == operator:
                    return
                if not replace:
                    raise ConfigError(
                        f"{self.path}: trusts operator {device_id(before)} already; --replace gives it up"
                    )
                self._roster_path.unlink(missing_ok=True)
            write_public_key(operator, self._operator_path)

    def roster(self) -> Roster | None:
        """Return the last roster that was accepted, None before the first.

        Raises:
            ConfigError: the file is damaged, or not of the operator whom the device trusts.
        """
        document = self._last_document()
        return None if document is None else read_roster(document, self.operator())

    def accept_roster(self, document: bytes) -> Roster:
        """Verify a roster, whoever brought it, keep it as the last, and return it.

        Raises:
            ConfigError: `read_roster` refuses it, it is older than the last, it says something else under the last
                one's version, or it is of another model.
            OperatorError: the disk refuses.
        """
        with locked(self.path):
            last = self.roster()
            roster = read_roster(document, self.operator(), least_version=last.version if last else 1)
            if last is not None and roster.model != last.model:
                raise ConfigError(f"roster: of model {roster.model!r}; this device belongs to {last.model!r}")
            if last is not None and roster.version == last.version and roster != last:
                raise ConfigError(
                    f"roster: two different rosters have version {roster.version}: "
                    "the operator must sign the right one again, as a newer version"
                )
            if roster != last:
                write_whole(document, self._roster_path)
        return roster

    def _last_document(self) -> bytes | None:
        try:
            return read_public_bytes(self._roster_path, most_bytes=MOST_BYTES)
        except NotFoundError:
            return None
