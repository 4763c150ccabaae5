"""The edge program."""

from splitnet_edge.program import run

__all__ = ["run"]
