"""The device's ClientApp: Flower starts a process with it for each message, which answers one leg."""

import logging
import os
from functools import partial
from pathlib import Path

from flwr.app import ConfigRecord, Context, Message
from flwr.clientapp import ClientApp

from splitnet.errors import PeerProtocolError
from splitnet.learn.flower.records import from_records, to_records
from splitnet.learn.legs import LEGS, Leg, LegMessage, Refusal
from splitnet_device.federated import Participant
from splitnet_device.federated.vault import KEY_BYTES

logger = logging.getLogger(__name__)

#: The key of the node's configuration that names the device's state directory.
STATE = "state"

# In the context's state, which a SuperNode keeps in memory from message to message and nowhere else.
_VAULT = "splitnet.vault"


def _answer(leg: Leg, message: Message, context: Context) -> Message:
    try:
        given = from_records(message.content)
    except PeerProtocolError as err:
        logger.warning("leg %s: %s", leg, err)
        answer = LegMessage.of(Refusal(refused="malformed", message="not a message of a federated round"))
    else:
        participant = Participant(_state(context), _vault_key(context), context.node_id)
        answer = participant.answer(leg, given)
    return Message(to_records(answer), reply_to=message)


def _state(context: Context) -> Path:
    return Path(str(context.node_config.get(STATE, ".")))


def _vault_key(context: Context) -> bytes:
    """Return the key under which this node keeps its round on the disk; made by its first message."""
    if _VAULT not in context.state:
        context.state[_VAULT] = ConfigRecord({"key": os.urandom(KEY_BYTES)})
    key = context.state.config_records[_VAULT]["key"]
    assert isinstance(key, bytes)
    return key


app = ClientApp()
for _leg in LEGS:
    app.train(_leg)(partial(_answer, _leg))
