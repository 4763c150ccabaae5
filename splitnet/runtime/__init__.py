"""Running segments: sessions, stages, the router between them, bounded execution."""

from splitnet.runtime.answer import Answer, AnswerBuilder
from splitnet.runtime.executor import BoundedExecutor
from splitnet.runtime.observe import observe
from splitnet.runtime.pipeline import Forward, Pipeline
from splitnet.runtime.session import OPTIMISATIONS, Segment
from splitnet.runtime.stage import Exit, Stage

__all__ = [
    "OPTIMISATIONS",
    "Answer",
    "AnswerBuilder",
    "BoundedExecutor",
    "Exit",
    "Forward",
    "Pipeline",
    "Segment",
    "Stage",
    "observe",
]
