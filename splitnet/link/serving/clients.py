"""Who calls: a client by its certificate or its host, what it may do, and the places that it holds."""

import threading
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import grpc
from cryptography import x509

from splitnet.certificates import Validity
from splitnet.errors import OverloadedError, PermissionDeniedError
from splitnet.link.access import Access, Action, names_of

# Models that one connection has been let call, which need no second look; plans have names of their own.
_MOST_REMEMBERED = 64


@dataclass(slots=True, eq=False)
class Client:
    """The other end of one call or stream.

    Attributes:
        name: the certificate's first, or else the host's address: what a quota counts by.
        names: all names of the certificate; none on a plaintext link.
    """

    name: str
    names: tuple[str, ...]
    _allowed: set[tuple[str, Action]] = field(default_factory=set)

    def check(self, access: Access | None, model: str, action: Action) -> None:
        """Let pass what `access` allows, and anything where it is None.

        Raises:
            PermissionDeniedError: it does not allow it.
        """
        if access is None or (model, action) in self._allowed:
            return
        access.check(self.names, model=model, action=action)
        if len(self._allowed) < _MOST_REMEMBERED:
            self._allowed.add((model, action))


def client_of(context: grpc.ServicerContext) -> Client:
    """Return who makes the call of `context`.

    Raises:
        PermissionDeniedError: the certificate has ended since it was shown: who resumes a TLS session is let in
            without another look at it.
    """
    presented: Any = context.auth_context()  # typed as one value a key; it holds a list
    for certificate in presented.get("x509_pem_cert", ()):
        if wrong := _validity(certificate).wrong():
            raise PermissionDeniedError(f"your certificate {wrong}; get another by `splitnet keys renew`")
    names = names_of(presented)
    return Client(names[0] if names else _host(context.peer()), names)


@lru_cache(maxsize=1024)
def _validity(certificate_pem: bytes) -> Validity:
    return Validity.of(x509.load_pem_x509_certificate(certificate_pem))


def _host(peer: str) -> str:
    """Return the address in gRPC's `ipv4:ADDRESS:PORT` or `ipv6:%5BADDRESS%5D:PORT`."""
    return unquote(peer.partition(":")[2].rpartition(":")[0])


class Places:
    """How many of something each client has, which is bounded; thread-safe.

    A client without any is forgotten, so that what is kept is no more than what is open.
    """

    def __init__(self, most: int, what: str) -> None:
        """Allow `most` of `what` ("streams") to each client."""
        self._most = most
        self._what = what
        self._held: dict[str, int] = {}
        self._lock = threading.Lock()

    def take(self, client: str) -> None:
        """Take a place.

        Raises:
            OverloadedError: `client` has all of its places.
        """
        with self._lock:
            held = self._held.get(client, 0)
            if held >= self._most:
                raise OverloadedError(
                    f"{self._most} {self._what} of this client are open already; try again later"
                )
            self._held[client] = held + 1

    def leave(self, client: str) -> None:
        """Give a place back."""
        with self._lock:
            if (held := self._held[client] - 1) > 0:
                self._held[client] = held
            else:
                del self._held[client]
