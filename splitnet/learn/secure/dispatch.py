"""What the server sends to each device at the beginning of a leg."""

from collections.abc import Mapping

from splitnet.learn.secure.context import RoundContext
from splitnet.learn.secure.envelope import Kind, server_message
from splitnet.learn.secure.graph import Graph
from splitnet.learn.secure.messages import Confirmations, Ids, Peers, Relay, Shares, Survivors, Table
from splitnet.learn.secure.opening import Closed


def peers_messages(context: RoundContext, graph: Graph, advertised: Table) -> Table:
    """Return for each device the list of all, and the advertisements of its neighbours."""
    messages: Table = {}
    for device in graph.devices:
        neighbours = tuple(advertised[each] for each in graph.neighbours(device))
        messages[device] = server_message(context, Kind.PEERS, Peers(graph.devices, neighbours).to_bytes())
    return messages


def relay_messages(context: RoundContext, graph: Graph, shares: Mapping[str, Shares]) -> Table:
    """Return for each device that sent shares what its neighbours sealed for it."""
    sharers = tuple(sorted(shares))
    messages: Table = {}
    for device in sharers:
        boxes = {each: shares[each].boxes[device] for each in graph.neighbours(device) if each in shares}
        messages[device] = server_message(context, Kind.RELAY, Relay(sharers, boxes).to_bytes())
    return messages


def survivors_messages(closed: Closed, statements: Table) -> Table:
    """Return for each survivor the sets, and what its neighbours signed with their vectors."""
    messages: Table = {}
    for device in closed.survivors:
        of_neighbours = {each: statements[each] for each in closed.graph.neighbours(device) if each in statements}
        told = Survivors(closed.survivors, closed.dead, of_neighbours)
        messages[device] = server_message(closed.context, Kind.SURVIVORS, told.to_bytes())
    return messages


def confirmations_messages(context: RoundContext, confirmed: Table, needed: int) -> Table:
    """Return for each device that confirmed the signatures of `needed` others."""
    # One more than it needs, since its own may be among them.
    chosen: Ids = tuple(sorted(confirmed))[: needed + 1]
    said = Confirmations({each: confirmed[each] for each in chosen})
    return dict.fromkeys(confirmed, server_message(context, Kind.CONFIRMATIONS, said.to_bytes()))
