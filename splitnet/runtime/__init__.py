"""Running segments: sessions, stages, the router between them, lines of requests, bounded execution."""

from splitnet.runtime.allocator import keep_memory, settle
from splitnet.runtime.answer import Answer, AnswerBuilder
from splitnet.runtime.emulation import slowed
from splitnet.runtime.executor import BoundedExecutor
from splitnet.runtime.pipeline import Pipeline
from splitnet.runtime.segment import Segment
from splitnet.runtime.stage import Exit, Stage
from splitnet.runtime.way_up import Forward

__all__ = [
    "Answer",
    "AnswerBuilder",
    "BoundedExecutor",
    "Exit",
    "Forward",
    "Pipeline",
    "Segment",
    "Stage",
    "keep_memory",
    "settle",
    "slowed",
]
