"""What a round says of the model: means over the samples that devices held out."""

from collections.abc import Sequence

from splitnet.learn.strategy import CohortSum

#: Name of a mean, and of the sum behind it: of the round's parameters, then of each device's own afterwards.
_MEANS = {
    "loss": "loss_sum_before",
    "accuracy": "right_before",
    "leaving": "leaving_before",
    "trained_loss": "loss_sum_after",
    "trained_accuracy": "right_after",
    "trained_leaving": "leaving_after",
}


def sample_means(sums: Sequence[CohortSum]) -> dict[str, float]:
    """Return the means over all samples of all cohorts; none where devices reported none.

    "loss" is the cross-entropy in nats, "accuracy" the share of samples classified as their label or the deeper
    tier says, "leaving" the share that the device would answer itself.
    """
    counted = sum(each.metrics.get("counted", 0.0) for each in sums)
    if counted <= 0:
        return {}
    return {name: sum(each.metrics[key] for each in sums) / counted for name, key in _MEANS.items()}
