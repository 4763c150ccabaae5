"""The cloud program."""

from splitnet_server.program import run

__all__ = ["run"]
