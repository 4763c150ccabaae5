"""Flower at the edge of the learning code: messages as its records, its programs with short waits, its command.

Nothing is re-exported: `records` needs `flwr`, of the extra `federated`, the others only start its programs.
"""
