"""The configuration of each program, and how it is read from TOML and the command line."""

from splitnet.config.adaptive import AdaptiveConfig
from splitnet.config.addresses import Address, Addresses, format_address, is_loopback, parse_address
from splitnet.config.answers import CacheConfig
from splitnet.config.findings import describe
from splitnet.config.frozen import Frozen
from splitnet.config.links import LinkConfig
from splitnet.config.programs import CloudConfig, DeviceConfig, EdgeConfig, LogFormat, StorePolicy, TierConfig
from splitnet.config.reading import Model, load_config, read_toml
from splitnet.config.security import AccessRule, TlsConfig, check_links
from splitnet.config.serving import BatchingConfig, QuotaConfig

__all__ = [
    "AccessRule",
    "AdaptiveConfig",
    "Address",
    "Addresses",
    "BatchingConfig",
    "CacheConfig",
    "CloudConfig",
    "DeviceConfig",
    "EdgeConfig",
    "Frozen",
    "LinkConfig",
    "LogFormat",
    "Model",
    "QuotaConfig",
    "StorePolicy",
    "TierConfig",
    "TlsConfig",
    "check_links",
    "describe",
    "format_address",
    "is_loopback",
    "load_config",
    "parse_address",
    "read_toml",
]
