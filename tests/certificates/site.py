"""A site in a folder: its authority, and machines whose certificates hold, have ended or are of somebody else."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from splitnet.certificates import Authority, Validity, alternative_names, make_machine
from splitnet.config import TlsConfig

ADDRESSES = ("127.0.0.1", "localhost")
MONTH = timedelta(days=30)


def span(start: timedelta, end: timedelta) -> Validity:
    """Return the time from `start` to `end` after now."""
    now = datetime.now(UTC).replace(microsecond=0)
    return Validity(now + start, now + end)


def authority(folder: Path, site: str = "hall") -> Authority:
    return Authority.make(folder / f"{site}-authority", site=site, validity=span(-2 * MONTH, 12 * MONTH))


def machine(
    folder: Path,
    signer: Authority,
    name: str,
    *,
    addresses: tuple[str, ...] = ADDRESSES,
    validity: Validity | None = None,
) -> TlsConfig:
    """Make a machine's directory, and return the configuration that names it."""
    when = validity or span(-timedelta(hours=1), MONTH)
    make_machine(folder / name, signer, names=alternative_names(name, addresses), validity=when)
    return TlsConfig(directory=folder / name)


def ended() -> Validity:
    return span(-MONTH, -timedelta(days=1))
