"""Federated rounds on the server, free of Flower's types: the job's files, the legs, from sums to parameters."""

from splitnet_server.rounds.checkpoint import Checkpoint
from splitnet_server.rounds.fleet import Fleet, Patience
from splitnet_server.rounds.folder import JobFolder
from splitnet_server.rounds.job import Job
from splitnet_server.rounds.run import run_job
from splitnet_server.rounds.supervise import Event, supervise

__all__ = ["Checkpoint", "Event", "Fleet", "Job", "JobFolder", "Patience", "run_job", "supervise"]
