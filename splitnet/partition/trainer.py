"""Bottlenecks in the search: priced before they have learned anything, trained once the planner picks one."""

import logging

from splitnet.codec import Bottleneck
from splitnet.errors import ModelError
from splitnet.graph import enumerate_cuts
from splitnet.learn.bottleneck.trained import Training
from splitnet.partition.analysis import Analysis
from splitnet.partition.bottlenecks import check_trainable, train, untrained
from splitnet.partition.options import PartitionOptions

logger = logging.getLogger(__name__)

#: So many are trained at most in one job, each for so long.
MOST_TRAININGS = 3
TRAINING_S = 60.0


class Trainer:
    """Trains bottlenecks of one job, each tensor's once."""

    def __init__(self, analysis: Analysis, options: PartitionOptions) -> None:
        """Prepare to train where the job asks for it.

        Raises:
            InvalidArgumentError: torch is missing, or there are too few calibration samples.
        """
        self._analysis = analysis
        self._options = options
        if options.bottleneck is not None:
            check_trainable(analysis.samples)
        self._tried: dict[str, Bottleneck | None] = {}

    def untrained(self) -> dict[str, Bottleneck]:
        """Return bottlenecks that have learned nothing, for tensors that cut the model alone and can have one."""
        reduction = self._options.bottleneck
        # A model that is run in pieces is too large to be differentiated.
        if reduction is None or self._analysis.whole.piece_bytes is not None:
            return {}
        inputs = {spec.name for spec in self._analysis.inputs}
        cuts = enumerate_cuts(self._analysis.model, self._analysis.output_names)
        alone = [cut.tensors[0] for cut in cuts if len(cut.tensors) == 1]
        specs = [
            self._analysis.specs[name] for name in alone if name in self._analysis.specs and name not in inputs
        ]
        made = {spec.name: untrained(spec, reduction, seed=self._options.seed) for spec in specs}
        return {name: bottleneck for name, bottleneck in made.items() if bottleneck is not None}

    def is_trained(self, tensor: str) -> bool:
        """Whether the tensor's bottleneck has learned enough."""
        return self._tried.get(tensor) is not None

    def learn(self, tensor: str) -> Bottleneck | None:
        """Train the bottleneck of `tensor`; None where it learns too little, or enough were trained."""
        if tensor not in self._tried:
            if len(self._tried) == MOST_TRAININGS:
                return None
            self._tried[tensor] = self._train(tensor)
        return self._tried[tensor]

    def _train(self, tensor: str) -> Bottleneck | None:
        analysis, options = self._analysis, self._options
        assert options.bottleneck is not None
        try:
            trained = train(
                analysis.model,
                analysis.specs[tensor],
                analysis.output_names,
                analysis.samples,
                training=Training(options.bottleneck, seconds=TRAINING_S, seed=options.seed),
            )
        except ModelError as err:
            logger.warning("no bottleneck for %s: %s", tensor, err)
            return None
        # Verification sees the samples that it was fitted to; those held out are the honest judges.
        lost = 0.0 if trained.agreement is None else 1 - trained.agreement
        return trained.bottleneck if lost <= options.max_accuracy_drop else None
