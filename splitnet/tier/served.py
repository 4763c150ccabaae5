"""A model as clients of a tier see it."""

from dataclasses import dataclass

from splitnet.runtime import Pipeline
from splitnet.tensors import TensorSpec


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model as clients see it.

    Attributes:
        pipeline: what runs it; its first stage says what the model takes.
        outputs: what it answers.
        plan: id of the plan that it is of.
    """

    pipeline: Pipeline
    outputs: tuple[TensorSpec, ...]
    plan: str = ""
