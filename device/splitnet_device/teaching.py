"""What a deeper tier's answer teaches: the class probabilities in it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from splitnet.errors import ConfigError
from splitnet.package import Manifest
from splitnet.tensors import BATCH, Array

# Probabilities that were computed in float16, or came through a lossy codec, add up to 1 no closer.
_SUM_TOLERANCE = 1e-2


@dataclass(frozen=True, slots=True)
class ClassOutput:
    """The output of the model that teaches.

    Attributes:
        name: of the output, `[batch, classes]`.
        classes: how many.
        scores: what its values are; None where the package does not say.
    """

    name: str
    classes: int
    scores: Literal["logits", "probabilities"] | None

    @classmethod
    def of(cls, manifest: Manifest) -> "ClassOutput":
        """Return the output that the trainable exit stands for or, without one, the first `[batch, classes]`.

        Raises:
            ConfigError: the model is no classifier.
        """
        for training in manifest.training:
            exit_entry = manifest.exit_of(training.segment)
            answers = exit_entry.outputs if exit_entry is not None else {}
            for name, tensor in answers.items():
                if tensor == training.output:
                    return cls(name, training.classes, training.scores)
        for output in manifest.model.outputs:
            if len(output.shape) == 2 and output.shape[0] == BATCH and isinstance(output.shape[1], int):
                return cls(output.name, output.shape[1], None)
        raise ConfigError(f"store: model {manifest.model.name!r} has no output [batch, classes] to learn from")

    def probabilities(self, row: Array) -> NDArray[np.float32] | None:
        """Return one sample's class probabilities `[classes]`; None where its scores are not finite.

        Where the package does not say what the scores are, they are probabilities if none is negative and they
        add up to 1 within 0.01, else logits.
        """
        scores = row.astype(np.float64)
        if not np.isfinite(scores).all():
            return None
        total = float(scores.sum())
        kind = self.scores
        if kind is None:
            distribution = abs(total - 1) <= _SUM_TOLERANCE and scores.min() >= 0
            kind = "probabilities" if distribution else "logits"
        if kind == "logits":
            scores = np.exp(scores - scores.max())
        elif total <= 0 or scores.min() < 0:
            return None
        probabilities: NDArray[np.float64] = scores / scores.sum()
        return probabilities.astype(np.float32)
