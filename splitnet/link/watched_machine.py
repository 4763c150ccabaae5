"""A serving machine's certificate, read again when its files change, and what is said once about it."""

import logging
import threading
from pathlib import Path

import grpc

from splitnet.certificates import FILES, day, read_machine
from splitnet.errors import ConfigError

logger = logging.getLogger(__name__)

# Said when less than this share of a certificate's time is left.
_SOON = 0.1

_Stamp = tuple[tuple[int, int, int] | None, ...]


class WatchedMachine:
    """A machine's directory, read again whenever one of its files has changed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._stamp = _stamp(directory)
        self._told = ""
        self.machine = read_machine(directory)
        self._tell_end()

    def configuration(self) -> grpc.ServerCertificateConfiguration:
        """Return what connections begin with."""
        machine = self.machine
        return grpc.ssl_server_certificate_configuration(
            [(machine.key_pem, machine.certificate_pem)], machine.authority_pem
        )

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what the next connection begins with where the files have changed, else None: as the one before.

        Called for each connection, by threads of gRPC. A new one each time would also be a new key of session
        tickets, so that none is resumed; but gRPC (1.85) frees the old one under handshakes that begin at that
        moment, and crashes when many do.
        """
        with self._lock:
            try:
                return self.configuration() if self._look() else None
            except Exception:  # what is raised here ends in gRPC, which would refuse the connection without a word
                logger.exception("%s: keeping the certificate that was read before", self._directory)
                return None

    def _look(self) -> bool:
        """Read the files where they have changed, and return whether that gave another certificate."""
        stamp = _stamp(self._directory)
        if stamp == self._stamp:
            self._tell_end()
            return False
        try:
            self.machine = read_machine(self._directory)
        except ConfigError as err:
            # Files are replaced one by one: what does not fit now may fit for the next connection.
            self._tell(logging.WARNING, f"{err}; the certificate that was read before stays")
            return False
        self._stamp = stamp
        validity = self.machine.validity
        self._tell(logging.INFO, f"certificate of {self.machine.name} read anew: it ends on {day(validity.end)}")
        self._tell_end()
        return True

    def _tell_end(self) -> None:
        validity, name = self.machine.validity, self.machine.name
        span_s = (validity.end - validity.start).total_seconds()
        if wrong := validity.wrong():
            self._tell(logging.ERROR, f"certificate of {name} {wrong}: nobody connects; run `splitnet keys renew`")
        elif validity.left_s() < _SOON * span_s:
            self._tell(logging.WARNING, f"certificate of {name} ends on {day(validity.end)}: renew it")

    def _tell(self, level: int, text: str) -> None:
        """Log once what stays true for many connections."""
        if text != self._told:
            logger.log(level, "%s", text)
        self._told = text


def _stamp(directory: Path) -> _Stamp:
    """Return what changes when a file does: inode, size and time of change."""
    return tuple(_stamp_of(directory / name) for name in FILES)


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
