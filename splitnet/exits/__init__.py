"""Early exits: the routing rule, and thresholds chosen so that leaving early keeps a stated risk."""

from splitnet.exits.rule import leaves

__all__ = ["leaves"]
