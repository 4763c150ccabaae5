"""Which nodes a tensor depends on."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from splitnet.plan.parts import Exit, Tensor

Key = TypeVar("Key", bound=Hashable)


def nodes_before(exits: Sequence[Exit], tensors: Iterable[Tensor]) -> tuple[frozenset[str], ...]:
    """Return, for each exit, all nodes that what it reads depends on, those that make it included."""
    producer: dict[str, str] = {}
    feeds: dict[str, list[str]] = {}
    for tensor in tensors:
        if tensor.producer is not None:
            producer[tensor.id] = tensor.producer
            for consumer in tensor.consumers:
                feeds.setdefault(consumer, []).append(tensor.producer)
    return tuple(closure([producer[read] for read in entry.reads if read in producer], feeds) for entry in exits)


def closure(start: Iterable[Key], feeds: Mapping[Key, Sequence[Key]]) -> frozenset[Key]:
    """Return `start` and all that feeds it, at any distance."""
    found, waiting = set[Key](), list(start)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += feeds.get(node, ())
    return frozenset(found)


def pairs_of(before: Sequence[frozenset[str]]) -> list[tuple[int, int]]:
    """Return the pairs (on the device, on the edge) of exits in which the edge's is strictly deeper."""
    return [(a, b) for a, shallow in enumerate(before) for b, deep in enumerate(before) if shallow < deep]
