"""The latest answers, to be given again: the same content, asked of the same version, has the same answer."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from splitnet.config import CacheConfig
from splitnet.protocol import InferRequest, InferResponse, Parameter
from splitnet.tensors import Array, Tensors, kept
from splitnet.tier.parameters import EXIT, FALLBACK, KEPT

Kept = TypeVar("Kept")

# Bytes of each tensor that a look-up goes by. A digest of all would take 440 us (SHA-256) for 800 KB, on every
# request; these are taken in 2 us, and the whole is compared, in 40 us, only where they are the same.
_LOOKED_AT = 512


@dataclass(frozen=True)
class Question:
    """What was asked: by these two alone, an answer is determined.

    Attributes:
        of: what is asked, and for what: model, version, plan, outputs, codings.
        tensors: the content; nobody may change them as long as the question is kept.
    """

    of: tuple[Hashable, ...]
    tensors: Tensors

    @cached_property
    def key(self) -> Hashable:
        """The same for the same question, and seldom for another one."""
        described = (
            (name, array.dtype.str, array.shape, _some_of(array)) for name, array in sorted(self.tensors.items())
        )
        return (self.of, *described)

    @property
    def size_bytes(self) -> int:
        """Bytes of its tensors."""
        return sum(array.nbytes for array in self.tensors.values())

    def is_same_as(self, other: "Question") -> bool:
        """Whether both ask the same, bit for bit."""
        return self.key == other.key and all(
            array.nbytes <= _LOOKED_AT or np.array_equal(_bytes_of(array), _bytes_of(other.tensors[name]))
            for name, array in self.tensors.items()
        )


@dataclass(frozen=True, slots=True)
class _Entry(Generic[Kept]):
    question: Question
    answer: Kept
    size_bytes: int


class AnswerCache(Generic[Kept]):
    """Keeps the answers used last, within a number and a size; thread-safe."""

    def __init__(self, config: CacheConfig) -> None:
        """Keep nothing yet; with no `entries`, never anything."""
        self._config = config
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, _Entry[Kept]] = OrderedDict()
        self._size_bytes = 0

    @property
    def enabled(self) -> bool:
        """Whether anything is ever kept."""
        return self._config.entries > 0 and self._config.max_bytes > 0

    @property
    def size_bytes(self) -> int:
        """Bytes of all that is kept, questions and answers."""
        return self._size_bytes

    def __len__(self) -> int:
        """Return how many answers are kept."""
        return len(self._entries)

    def find(self, question: Question) -> Kept | None:
        """Return the answer that was kept of `question`, if any."""
        if not self.enabled:
            return None
        with self._lock:
            entry = self._entries.get(question.key)
        if entry is None or not entry.question.is_same_as(question):
            return None
        with self._lock:
            if question.key in self._entries:
                self._entries.move_to_end(question.key)
        return entry.answer

    def keep(self, question: Question, answer: Kept, answer_bytes: int) -> None:
        """Keep `answer`, of so many bytes, and of older ones what there is room for beside it."""
        size_bytes = question.size_bytes + answer_bytes
        if not self.enabled or size_bytes > self._config.max_bytes:
            return
        with self._lock:
            before = self._entries.pop(question.key, None)
            self._size_bytes += size_bytes - (before.size_bytes if before is not None else 0)
            self._entries[question.key] = _Entry(question, answer, size_bytes)
            while len(self._entries) > self._config.entries or self._size_bytes > self._config.max_bytes:
                _, oldest = self._entries.popitem(last=False)
                self._size_bytes -= oldest.size_bytes


class KeptResponses:
    """The latest responses of a serving tier, by the request's content; a fallback is never kept."""

    def __init__(self, config: CacheConfig) -> None:
        self._cache: AnswerCache[InferResponse] = AnswerCache(config)

    @property
    def enabled(self) -> bool:
        """Whether anything is ever kept."""
        return self._cache.enabled

    def find(self, request: InferRequest, version: str, plan: str) -> InferResponse | None:
        """Return a kept response to `request`, under its id; it says who answered then, but no times."""
        kept = self._cache.find(_question(request, version, plan)) if self.enabled else None
        return replace(kept, id=request.id) if kept is not None else None

    def keep(self, request: InferRequest, plan: str, response: InferResponse) -> None:
        """Keep `response` unless it is a fallback; neither it nor `request` may change from then on."""
        if not self.enabled or FALLBACK in response.parameters:
            return
        parameters: dict[str, Parameter] = {EXIT: response.parameters[EXIT], KEPT: True}
        # Part of a larger array, as of a batch, would keep the whole of it alive.
        tensors = {name: kept(array) for name, array in response.tensors.items()}
        answer_bytes = sum(array.nbytes for array in tensors.values())
        question = _question(request, response.model_version, plan)
        self._cache.keep(question, replace(response, tensors=tensors, parameters=parameters), answer_bytes)


def _question(request: InferRequest, version: str, plan: str) -> Question:
    codings = tuple(
        (name, tuple(sorted(says.items()))) for name, says in sorted(request.tensor_parameters.items())
    )
    return Question((request.model_name, version, plan, request.requested_outputs, codings), request.tensors)


def _some_of(array: Array) -> bytes:
    values = _bytes_of(array)
    # An odd step meets every byte of a number, not always its lowest.
    step = -(-values.size // _LOOKED_AT) | 1 if values.size > _LOOKED_AT else 1
    return values[::step].tobytes()


def _bytes_of(array: Array) -> NDArray[np.uint8]:
    """The array's bytes in row-major order, without a copy where it has them so."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
