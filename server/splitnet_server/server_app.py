"""The server's ServerApp: the fleet of federated rounds over Flower's grid."""

import logging
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from flwr.app import Context, Message
from flwr.serverapp import Grid, ServerApp

from splitnet.errors import PeerProtocolError
from splitnet.learn.flower.records import CATEGORY, from_records, to_records
from splitnet.learn.legs import Leg, LegMessage, Refusal
from splitnet_server.rounds import Patience, run_job

logger = logging.getLogger(__name__)

#: The key of the run's configuration that names the job's folder.
JOB = "job"

# A pull costs the SuperLink several requests; answers come in over a second or more.
_LOOK_AGAIN_S = 0.1

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the job whose folder the run's configuration names."""
    run_job(Path(str(context.run_config[JOB])), _GridFleet(grid))


class _GridFleet:
    """Nodes behind a SuperLink."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid

    def nodes(self) -> Collection[int]:
        return set(self._grid.get_node_ids())

    def ask(self, leg: Leg, questions: Mapping[int, LegMessage], patience: Patience) -> dict[int, LegMessage]:
        end = time.monotonic() + patience.leg_s
        waiting = self._push(leg, questions, ttl_s=patience.leg_s)
        answers: dict[int, LegMessage] = {}
        grace_end = end
        while waiting and time.monotonic() < min(end, grace_end) and not patience.stopped():
            for message in self._grid.pull_messages(list(waiting)):
                # Flower's own error replies come from node 1: what they answer says whose they are.
                node = waiting.pop(message.metadata.reply_to_message_id, None)
                if node is not None:
                    answers[node] = _read(message)
            if grace_end == end and patience.has_quorum(answers):
                grace_end = time.monotonic() + patience.grace_s
            if waiting:
                time.sleep(_LOOK_AGAIN_S)
        return answers

    def _push(self, leg: Leg, questions: Mapping[int, LegMessage], *, ttl_s: float) -> dict[str, int]:
        """Send the questions and return the node by the message's id."""
        nodes = sorted(questions)
        # What several nodes are asked alike goes to the SuperLink once.
        records = {id(question): to_records(question) for question in questions.values()}
        messages = [
            Message(records[id(questions[node])], node, f"{CATEGORY}.{leg}", ttl=ttl_s, group_id=leg)
            for node in nodes
        ]
        ids = list(self._grid.push_messages(messages))
        return {message_id: node for message_id, node in zip(ids, nodes, strict=True) if message_id}


def _read(message: Message) -> LegMessage:
    """Return what a node answered; where its app failed or sent nonsense, a refusal that says so."""
    if message.has_error():
        return LegMessage.of(Refusal(refused="failed", message=f"Flower: error {message.error.code}"))
    try:
        return from_records(message.content)
    except PeerProtocolError as err:
        return LegMessage.of(Refusal(refused="malformed", message=str(err)[:2000]))
