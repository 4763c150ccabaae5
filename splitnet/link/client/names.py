"""Which targets an address stands for: one, or several behind a host name."""

import ipaddress
import logging
import socket
import threading
from collections.abc import Callable, Sequence

from splitnet.link.client.channel import Target

logger = logging.getLogger(__name__)

# What most name servers let answers live for; gRPC's own resolver asks at most as often.
_AGAIN_S = 30.0


def is_name(host: str) -> bool:
    """Whether `host` is a name that may stand for several machines, not an address or this machine."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host != "localhost"
    return False


def targets_of(target: Target) -> tuple[Target, ...]:
    """Look up a host name; this may take seconds.

    A name with one address of each family is one machine, and stays as it is: gRPC tries both. Where it has
    several of a family, each is a target of its own, whose certificate must bear the name.

    Raises:
        OSError: the name cannot be looked up now.
    """
    host, port = target.address
    families: dict[int, list[str]] = {}
    for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        hosts = families.setdefault(family, [])
        if (found := str(address[0])) not in hosts:
            hosts.append(found)
    most = max(families.values(), key=len, default=[])
    if len(most) < 2:
        return (target,)
    return tuple(Target((found, port), target.name or host) for found in sorted(most))


class Lookup:
    """Looks host names up from a thread of its own, again and again: their machines come and go."""

    def __init__(self, names: Sequence[Target], found: Callable[[Target, tuple[Target, ...]], None]) -> None:
        """Begin at once.

        Args:
            names: targets whose hosts are names.
            found: told what each stands for, time after time.
        """
        self._names = tuple(names)
        self._found = found
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="link-names", daemon=True).start()

    def close(self) -> None:
        """Look up nothing more; a look-up that is under way is not waited for."""
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.is_set():
            for name in self._names:
                try:
                    targets = targets_of(name)
                except (OSError, UnicodeError) as err:
                    logger.debug("link to %s: the name cannot be looked up: %s", name, err)
                    continue
                if not self._closed.is_set():
                    self._found(name, targets)
            self._closed.wait(_AGAIN_S)
