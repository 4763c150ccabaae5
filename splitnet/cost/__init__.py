"""What machines, links and models cost: the deployment file and profiles measured with onnxruntime."""

from splitnet.cost.profile import Profile, profile_model
from splitnet.cost.site import DEFAULT_SITE_TOML, Link, Machine, Site, default_site, load_site
from splitnet.cost.timing import median_ms

__all__ = [
    "DEFAULT_SITE_TOML",
    "Link",
    "Machine",
    "Profile",
    "Site",
    "default_site",
    "load_site",
    "median_ms",
    "profile_model",
]
