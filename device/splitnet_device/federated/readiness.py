"""Whether a device can take part at all: asked before it joins, so that a person hears what is missing."""

from pathlib import Path

from splitnet.errors import ConfigError
from splitnet.learn.identity import DeviceState
from splitnet.package import read_manifest
from splitnet_device.federated.policy import read_federated_config


def check_ready(state: Path) -> None:
    """Check a state directory.

    Raises:
        NotFoundError: there is no directory, no `federated.toml`, no key or no package.
        PackageError: the package is damaged, or not signed as it must be.
        ConfigError: it trusts no operator, nothing in its package is trainable, or a file is wrong.
    """
    directory = DeviceState(state)
    config = read_federated_config(state)
    directory.key(config.passphrase_bytes)
    directory.operator()
    if not read_manifest(config.package, config.package_key).training:
        raise ConfigError(f"{config.package}: nothing in it is trainable; partition with --trainable exits")
