"""Rolling a version out: every tier of the plan loads it, the upper ones first, and offers it before the next."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from splitnet.config import TlsConfig
from splitnet.errors import NotFoundError, PeerProtocolError, SplitNetError
from splitnet.link import PACKAGE_PARAMETER, PLAN_PARAMETER, TierClient
from splitnet.package import Package
from splitnet.protocol import (
    MODEL_READY,
    REPOSITORY_INDEX,
    REPOSITORY_MODEL_LOAD,
    IndexEntry,
    IndexRequest,
    ModelChange,
    ModelName,
)
from splitnet.tiers import TIERS

Address = tuple[str, int]

# Small questions; a load has the time that its caller gives it.
_ANSWER_S = 10.0
# Whoever serves the whole alone asks nobody above, and nobody below asks it.
_TOP_DOWN = ("cloud", "edge", None)


@dataclass(frozen=True, slots=True)
class TierStatus:
    """What one tier has.

    Attributes:
        address: HOST:PORT.
        models: what it offers, and what lies in its repository.
    """

    address: str
    models: tuple[IndexEntry, ...]

    def tier_of(self, model: str) -> str | None:
        """Which tier of `model` it serves, "edge" or "cloud"; None where it serves the whole alone.

        Raises:
            NotFoundError: it does not serve `model`.
        """
        ready = {entry.name for entry in self.models if entry.state == "READY"}
        if model not in ready:
            raise NotFoundError(
                f"{self.address}: serves {sorted(ready)}, not {model!r}; give the address of a tier"
            )
        return next((tier for tier in reversed(TIERS) if f"{model}.{tier}" in ready), None)


def status(address: Address, *, tls: TlsConfig | None = None) -> TierStatus:
    """Ask a tier what it has, with the certificate `tls` or in plaintext.

    Raises:
        PeerError: it cannot be reached, or does not answer.
        ConfigError: the certificate cannot be used.
    """
    with TierClient(address, tls=tls) as client:
        return _status(client)


def apply(
    package: Package,
    addresses: Sequence[Address],
    *,
    tls: TlsConfig | None = None,
    timeout_s: float = 600.0,
    on_loaded: Callable[[str, str], None] = lambda _address, _tier: None,
) -> None:
    """Have tiers load `package` from their repositories, where it lies under the same name.

    Each is asked what it serves; then the clouds load, then the edges, one after the other, each only after the
    one before offers the version. A tier that has it already is left as it is.

    Args:
        package: the version to load, as it lies here.
        addresses: of the tiers, in any order.
        tls: this machine's certificate, which they must let load; None asks in plaintext.
        timeout_s: how long one tier may take to load.
        on_loaded: called with address and tier (or "") once that tier offers the version.

    Raises:
        NotFoundError: a tier serves another model, or has no such package; no tier after it has loaded anything.
        ConfigError: the certificate cannot be used.
        SplitNetError: a tier cannot be reached or refuses; tiers before it go on offering both versions.
    """
    manifest = package.manifest
    with ExitStack() as stack:
        opened = [stack.enter_context(TierClient(address, tls=tls)) for address in addresses]
        clients = {client.address: client for client in opened}
        tiers = {address: _status(client).tier_of(manifest.model.name) for address, client in clients.items()}
        done: list[str] = []
        for address in sorted(tiers, key=lambda each: _TOP_DOWN.index(tiers[each])):
            try:
                _load(clients[address], package, tiers[address], timeout_s)
            except SplitNetError as err:
                before = f" (version {manifest.model.version} is loaded at {', '.join(done)})" if done else ""
                raise type(err)(f"{err}{before}") from err
            done.append(address)
            on_loaded(address, tiers[address] or "")


def _status(client: TierClient) -> TierStatus:
    return TierStatus(client.address, client.call(REPOSITORY_INDEX, IndexRequest(), timeout_s=_ANSWER_S))


def _load(client: TierClient, package: Package, tier: str | None, timeout_s: float) -> None:
    """Load on one tier, and make sure that it offers the version."""
    model, plan = package.manifest.model, package.manifest.plan
    asked = {PACKAGE_PARAMETER: package.path.absolute().name, PLAN_PARAMETER: plan.id}
    client.call(REPOSITORY_MODEL_LOAD, ModelChange(model.name, parameters=asked), timeout_s=timeout_s)
    names = [model.name]
    if tier is not None and any(wire.to_tier == tier for wire in plan.wires):
        names.append(f"{model.name}.{tier}")
    for name in names:
        if not client.call(MODEL_READY, ModelName(name, str(model.version)), timeout_s=_ANSWER_S):
            raise PeerProtocolError(
                f"{client.address}: loaded version {model.version}, but does not offer {name!r}"
            )
