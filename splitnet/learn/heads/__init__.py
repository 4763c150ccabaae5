"""Exit heads for a frozen ONNX classifier without any: where they sit, what they learn, how they are attached."""

from splitnet.learn.heads.attach import AttachedExit, attach
from splitnet.learn.heads.choose import MOST_HEADS, Trial, choose, most_heads, samples_needed
from splitnet.learn.heads.division import Division, divide
from splitnet.learn.heads.ending import Ending, ending_of
from splitnet.learn.heads.fit import Fitting
from splitnet.learn.heads.form import HeadForm, form_of
from splitnet.learn.heads.head import Head, Layers, Scaling
from splitnet.learn.heads.places import Place, places_for
from splitnet.learn.heads.train import Answers, Candidate, train_heads

__all__ = [
    "MOST_HEADS",
    "Answers",
    "AttachedExit",
    "Candidate",
    "Division",
    "Ending",
    "Fitting",
    "Head",
    "HeadForm",
    "Layers",
    "Place",
    "Scaling",
    "Trial",
    "attach",
    "choose",
    "divide",
    "ending_of",
    "form_of",
    "most_heads",
    "places_for",
    "samples_needed",
    "train_heads",
]
