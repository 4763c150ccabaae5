"""What a machine is called in its certificate: a name, and the addresses under which others reach it."""

import ipaddress
import re
from collections.abc import Iterable, Sequence

from cryptography import x509

from splitnet.errors import InvalidArgumentError

# A label of RFC 1123 in lower case: access rules tell small from capital letters, TLS does not.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
# X.509 gives a common name 64 characters (RFC 5280, appendix A), DNS gives a name 253.
_LONGEST_NAME = 64
_LONGEST_DNS = 253
_MOST_ADDRESSES = 32


def machine_name(text: str) -> str:
    """Return `text` if it can be a machine's, or a site's, name.

    Raises:
        InvalidArgumentError: it cannot.
    """
    if not _NAME.fullmatch(text) or len(text) > _LONGEST_NAME or _is_ip(text):
        raise InvalidArgumentError(
            f"name {text!r}: expected up to {_LONGEST_NAME} lower-case letters, digits, '-' and '.', "
            "as in a host's name, and no IP address, which --address takes"
        )
    return text


def alternative_names(name: str, addresses: Sequence[str]) -> list[x509.GeneralName]:
    """Return all that a certificate bears: the machine's name first, then its addresses, each once.

    Args:
        name: the machine's.
        addresses: IP addresses and DNS names; a DNS name is a name of the machine to access rules as well.

    Raises:
        InvalidArgumentError: one cannot be; a wildcard never can.
    """
    machine_name(name)
    if len(addresses) > _MOST_ADDRESSES:
        raise InvalidArgumentError(f"{len(addresses)} addresses; a certificate has at most {_MOST_ADDRESSES}")
    found: list[x509.GeneralName] = [x509.DNSName(name), *(_address(text) for text in addresses)]
    return list(dict.fromkeys(found))


def texts_of(names: Iterable[x509.GeneralName]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the DNS names and the IP addresses among `names`, as text."""
    kept = list(names)
    dns = tuple(each.value for each in kept if isinstance(each, x509.DNSName))
    return dns, tuple(str(each.value) for each in kept if isinstance(each, x509.IPAddress))


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _address(text: str) -> x509.GeneralName:
    if _is_ip(text):
        return x509.IPAddress(ipaddress.ip_address(text))
    if not _NAME.fullmatch(text) or len(text) > _LONGEST_DNS:
        raise InvalidArgumentError(
            f"address {text!r}: expected an IP address or a host's name in lower case, without port or wildcard"
        )
    return x509.DNSName(text)
