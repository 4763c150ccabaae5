"""Running segments: sessions, stages, the router between them, bounded execution."""

from splitnet.runtime.answer import Answer, AnswerBuilder
from splitnet.runtime.emulation import slowed
from splitnet.runtime.executor import BoundedExecutor
from splitnet.runtime.pipeline import Forward, Pipeline
from splitnet.runtime.segment import Segment
from splitnet.runtime.stage import Exit, Stage

__all__ = [
    "Answer",
    "AnswerBuilder",
    "BoundedExecutor",
    "Exit",
    "Forward",
    "Pipeline",
    "Segment",
    "Stage",
    "slowed",
]
