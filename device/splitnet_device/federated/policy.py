"""What a device insists on in federated rounds: a file in its state directory, which no server can change."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from splitnet.config import Frozen, load_config
from splitnet.learn.identity import read_passphrase

#: In the state directory.
CONFIG_NAME = "federated.toml"


class FederatedConfig(Frozen):
    """A device's own terms; relative paths count from its state directory.

    Attributes:
        package: directory of the package that the device serves.
        store: file of its samples.
        package_key: the public key that the package must be signed with; None takes an unsigned one.
        passphrase: file with the passphrase of the device's key; None where the key has none.
        least_peers: other devices in a sum, at least; with 1 each of two would learn the other's update.
        least_threshold: lowest share of surviving devices that a sum may be opened with; never one half itself.
        allow_plain: whether it sends its update in the clear where the settings say so.
        training_s: most that training may take in a round, seconds.
    """

    package: Path
    store: Path
    package_key: Path | None = None
    passphrase: Path | None = None
    least_peers: Annotated[int, Field(ge=1, le=65_534)] = 2
    least_threshold: Annotated[float, Field(ge=0.5, le=1)] = 2 / 3
    allow_plain: bool = False
    training_s: Annotated[float, Field(gt=0, le=86_400)] = 600.0

    @property
    def passphrase_bytes(self) -> bytes | None:
        """The passphrase; None where there is none.

        Raises:
            NotFoundError: there is no such file.
            ConfigError: others may read it, or it is empty or too long.
        """
        return read_passphrase(self.passphrase)


def read_federated_config(state: Path) -> FederatedConfig:
    """Read `federated.toml` of a state directory.

    Raises:
        NotFoundError: there is none.
        ConfigError: it is wrong.
    """
    config = load_config(FederatedConfig, state / CONFIG_NAME, {})
    return config.model_copy(
        update={
            "package": state / config.package,
            "store": state / config.store,
            "package_key": None if config.package_key is None else state / config.package_key,
            "passphrase": None if config.passphrase is None else state / config.passphrase,
        }
    )
