"""A model as clients of a tier see it."""

from dataclasses import dataclass

from splitnet.runtime import Pipeline
from splitnet.tensors import TensorSpec
from splitnet.tier.forward import Upstream


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model as clients see it.

    Attributes:
        pipeline: what runs it; its first stage says what the model takes.
        outputs: what it answers.
        plan: id of the plan that it is of.
        goes_on: whether that plan goes on to a tier above.
        way_up: the way there; None where the plan ends here or no tier above is configured.
    """

    pipeline: Pipeline
    outputs: tuple[TensorSpec, ...]
    plan: str = ""
    goes_on: bool = False
    way_up: Upstream | None = None

    @property
    def is_cut_off(self) -> bool:
        """Whether the tier above that its plan goes on to is not reached now."""
        return self.goes_on and not (self.way_up is not None and self.way_up.connected)
