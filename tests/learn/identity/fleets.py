"""Fleets for the tests."""

from splitnet.learn.identity import DeviceKey, Roster, RosterEntry


def entry(name: str, site: str = "hall", key: DeviceKey | None = None) -> RosterEntry:
    """Return a device's entry, of a new key unless there is one."""
    key = key or DeviceKey.generate()
    return RosterEntry(id=key.id, public_key=key.public, name=name, site=site)


def roster(devices: int = 2) -> Roster:
    """Return version 1 of a fleet."""
    return Roster.first("pcb", [entry(f"cam-{number}") for number in range(devices)])
