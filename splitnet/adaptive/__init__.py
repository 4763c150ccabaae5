"""Which plan to run on the link as it is now: pure functions of what a device sees of its own traffic."""

from splitnet.adaptive.absence import SampleEnd
from splitnet.adaptive.chooser import PlanChooser
from splitnet.adaptive.link_estimate import LinkEstimate
from splitnet.adaptive.prediction import Conditions, Prediction, predict

__all__ = ["Conditions", "LinkEstimate", "PlanChooser", "Prediction", "SampleEnd", "predict"]
