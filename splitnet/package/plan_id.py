"""A plan's name: a digest of what it runs, sends and answers early."""

import hashlib
import json
from collections.abc import Sequence

from splitnet.package.manifest import ExitEntry, SegmentEntry
from splitnet.package.wires import WireEntry


def plan_id(segments: Sequence[SegmentEntry], wires: Sequence[WireEntry], exits: Sequence[ExitEntry]) -> str:
    """Return the 12 digits that name a plan, so that tiers with different deployments notice.

    Args:
        segments: that the plan runs, in its order.
        wires: in its order.
        exits: of those segments, in the manifest's order.
    """
    content = [
        [[segment.id, segment.sha256] for segment in segments],
        [wire.model_dump() for wire in wires],
        [entry.model_dump() for entry in exits],
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
