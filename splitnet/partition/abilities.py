"""Which machines of a site can run a model's nodes at all, and why the others cannot."""

from collections.abc import Iterator

from splitnet.cost import Machine
from splitnet.errors import ConfigError
from splitnet.partition.analysis import Analysis
from splitnet.partition.memory import peak_activation_bytes
from splitnet.partition.options import PartitionOptions
from splitnet.tiers import TIERS, Tier


def unable_tiers(analysis: Analysis, options: PartitionOptions) -> frozenset[Tier]:
    """Return the tiers that can pass on what they receive, but run nothing of the model.

    Raises:
        ConfigError: that is all of them, or the device, though a tensor must stay there; the message says why.
    """
    site = options.site
    machines = zip(TIERS, (site.device, site.edge, site.cloud), strict=True)
    reasons = {tier: why for tier, machine in machines for why in _reasons(tier, machine, analysis)}
    if len(reasons) == len(TIERS):
        raise ConfigError(f"no machine of the site can run this model: {'; '.join(reasons.values())}")
    if "device" in reasons and options.keep_on_device:
        raise ConfigError(f"keep_on_device {list(options.keep_on_device)}: {reasons['device']}")
    return frozenset(reasons)


def _reasons(tier: Tier, machine: Machine, analysis: Analysis) -> Iterator[str]:
    needed = {"float32", "int8"} if analysis.quantised else {"float32"}
    if needed.isdisjoint(machine.precisions):
        yield (
            f"the {tier}, {machine.name!r}, computes in {', '.join(machine.precisions)} only, and the model needs "
            f"{' or '.join(sorted(needed))}"
        )
    peak = peak_activation_bytes(analysis.model, analysis.flow)
    if machine.memory_bytes is not None and machine.memory_bytes < peak:
        yield (
            f"the {tier}, {machine.name!r}, has {machine.memory_bytes:,} bytes of memory, and the activations of "
            f"one sample alone take {peak:,}"
        )
