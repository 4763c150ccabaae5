"""SplitNet: one trained model cut over device, edge and cloud, run as one service."""

__version__ = "0.1.0"
