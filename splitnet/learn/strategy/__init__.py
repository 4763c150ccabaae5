"""From the cohorts' sums to the next parameters, and who is asked for them."""

from splitnet.learn.strategy.cohort_sum import CohortSum, mean_metrics
from splitnet.learn.strategy.cohorts import SMALL_SITES, form_cohorts
from splitnet.learn.strategy.combine import combine, least_cohorts
from splitnet.learn.strategy.optimiser import ServerState, next_parameters
from splitnet.learn.strategy.sampling import sample_devices

__all__ = [
    "SMALL_SITES",
    "CohortSum",
    "ServerState",
    "combine",
    "form_cohorts",
    "least_cohorts",
    "mean_metrics",
    "next_parameters",
    "sample_devices",
]
