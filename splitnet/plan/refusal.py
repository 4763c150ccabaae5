"""Why no placement of a table is allowed."""

import numpy as np

from splitnet.plan.ancestors import closure
from splitnet.plan.arrays import Arrays
from splitnet.tiers import TIERS


def why_none(arrays: Arrays) -> str:
    """Return what rules every placement out, as narrow as it can be told."""
    return _too_large(arrays) or _kept_too_large(arrays) or _together(arrays)


def _too_large(arrays: Arrays) -> str | None:
    """A node that fits nowhere, or all of them together."""
    held, caps = arrays.memory, arrays.caps
    per_node = np.where(arrays.able, caps, 0.0).max(axis=1)
    if (over := np.flatnonzero(held > per_node)).size:
        node = int(over[held[over].argmax()])
        name = arrays.nodes[node]
        return f"nodes[{node}].memory_bytes: {name!r} fits on no tier that can run it ({_limits(arrays)} bytes)"
    if held.sum() > caps.sum():
        return (
            f"memory_bytes: the nodes hold {held.sum():,.0f} bytes, more than all tiers together "
            f"({_limits(arrays)})"
        )
    return None


def _kept_too_large(arrays: Arrays) -> str | None:
    """Nodes that have to be on the device and do not fit there, or cannot run there."""
    feeds: dict[int, list[int]] = {}
    for below, above in arrays.edges.tolist():
        feeds.setdefault(above, []).append(below)
    bound = sorted(closure(np.flatnonzero(arrays.pinned).tolist(), feeds))
    held = arrays.memory[bound].sum()
    for node in bound:
        if not arrays.able[node, 0]:
            return (
                f"keep_on_device: it keeps {arrays.nodes[node]!r} on the device, which cannot run it "
                f"(nodes[{node}].cost_ms[0] is null)"
            )
    if held > arrays.caps[0]:
        names = ", ".join(repr(arrays.nodes[node]) for node in bound[:5]) + (", …" if len(bound) > 5 else "")
        return (
            f"keep_on_device: it keeps {names} on the device, which hold {held:,.0f} bytes, "
            f"more than its memory_bytes[0], {arrays.caps[0]:,.0f}"
        )
    return None


def _together(arrays: Arrays) -> str:
    """What rules all of them out only together."""
    table = arrays.table
    rules = ["data only goes up"]
    if table.keep_on_device:
        rules.append("keep_on_device holds")
    if not arrays.able.all():
        rules.append("every node is on a tier that can run it")
    if not arrays.sendable.all():
        rules.append("what crosses a link can be sent")
    if table.device_must_exit:
        rules.append("the device has an exit where it is left")
    if np.isfinite(arrays.caps).any():
        return (
            f"memory_bytes: the nodes hold {arrays.memory.sum():,.0f} bytes and cannot be shared out over "
            f"{_limits(arrays)} bytes such that {', '.join(rules)} and every tier's nodes fit"
        )
    return f"no placement is allowed in which {', '.join(rules)}"


def _limits(arrays: Arrays) -> str:
    capped = [(tier, cap) for tier, cap in zip(TIERS, arrays.caps, strict=True) if np.isfinite(cap)]
    return ", ".join(f"{tier} {cap:,.0f}" for tier, cap in capped)
