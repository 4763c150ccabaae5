"""Who a device is: its key, the operator's signed roster of the fleet, and what a device keeps on its disk."""

from splitnet.learn.identity.enrolment import Enrolment, read_enrolment, write_enrolment
from splitnet.learn.identity.journal import Journal
from splitnet.learn.identity.roster import Roster, RosterEntry, read_roster, sign_roster
from splitnet.learn.identity.roster_file import enrol_devices, load_roster, revoke_devices
from splitnet.learn.identity.state import DeviceState
from splitnet.signing.keys import DeviceKey, OperatorKey, PublicKey, device_id, is_signed
from splitnet.signing.operator_keys import load_operator, make_operator, operator_public
from splitnet.signing.secret_file import read_passphrase

__all__ = [
    "DeviceKey",
    "DeviceState",
    "Enrolment",
    "Journal",
    "OperatorKey",
    "PublicKey",
    "Roster",
    "RosterEntry",
    "device_id",
    "enrol_devices",
    "is_signed",
    "load_operator",
    "load_roster",
    "make_operator",
    "operator_public",
    "read_enrolment",
    "read_passphrase",
    "read_roster",
    "revoke_devices",
    "sign_roster",
    "write_enrolment",
]
