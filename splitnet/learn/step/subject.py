"""What is to be trained: an exit of a model, and how much below it."""

from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from splitnet.errors import ModelError
from splitnet.graph import spec_of
from splitnet.tensors import BATCH

#: Whether only the exit's own layers learn, or all that its scores need.
Scope = Literal["exits", "segment"]


@dataclass(frozen=True, slots=True)
class Subject:
    """An exit that shall learn.

    Attributes:
        model: as `load_model` returns it, with recorded shapes; what does not lead to the scores is left alone.
        scores: name of the exit's class scores, `[batch, classes]` float32.
        probabilities: whether they are probabilities, else logits.
        scope: how much learns.
        frozen: names of the nodes whose weights stay as they are; for "exits" all that lead to something else too.
    """

    model: ir.Model
    scores: str
    probabilities: bool
    scope: Scope
    frozen: frozenset[str] = frozenset()

    @property
    def classes(self) -> int:
        """How many classes the exit tells apart.

        Raises:
            ModelError: the scores are not one float32 a class.
            NotFoundError: the model has no such scores.
        """
        spec = spec_of(self.model, self.scores)
        if spec is None or spec.dtype != "float32" or len(spec.shape) != 2 or spec.shape[0] != BATCH:
            found = "a tensor of unknown shape" if spec is None else f"{spec.dtype}{list(spec.shape)}"
            raise self.refused(f"expected scores float32[batch, classes], got {found}")
        classes = int(spec.shape[1])
        if classes < 2:
            raise self.refused("it tells no classes apart")
        return classes

    def refused(self, reason: str) -> ModelError:
        """Return the error for what cannot be trained."""
        return ModelError(f"the exit with class scores {self.scores!r} cannot be trained: {reason}")
