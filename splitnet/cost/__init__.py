"""What machines, links and models cost: the deployment file, the library of machines, and measured profiles."""

from splitnet.cost.attribution import NodeTensors
from splitnet.cost.hardware import Hardware, this_machine
from splitnet.cost.library import library
from splitnet.cost.links import Link
from splitnet.cost.machine_file import machine_toml
from splitnet.cost.machines import Machine, MachineEntry, Precision
from splitnet.cost.profile import Profile, profile_model
from splitnet.cost.site import DEFAULT_SITE_TOML, Site, default_site, load_site
from splitnet.cost.stored import NodeTime, ProfiledMachine, StoredProfile, read_profile, write_profile
from splitnet.cost.timing import median_ms, run_ms
from splitnet.cost.traces import Trace

__all__ = [
    "DEFAULT_SITE_TOML",
    "Hardware",
    "Link",
    "Machine",
    "MachineEntry",
    "NodeTensors",
    "NodeTime",
    "Precision",
    "Profile",
    "ProfiledMachine",
    "Site",
    "StoredProfile",
    "Trace",
    "default_site",
    "library",
    "load_site",
    "machine_toml",
    "median_ms",
    "profile_model",
    "read_profile",
    "run_ms",
    "this_machine",
    "write_profile",
]
