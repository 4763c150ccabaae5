"""What a federated job is asked to do: one object for the server and, by its digest, for every device."""

import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from splitnet.config import Frozen

#: The optimisers whose steps `splitnet partition --trainable` writes.
Optimiser = Literal["sgd", "adam"]

_Positive = Annotated[float, Field(gt=0)]
_Share = Annotated[float, Field(gt=0, le=1)]


class LocalSettings(Frozen):
    """How a device trains.

    Attributes:
        optimiser: whose step graph runs.
        learning_rate: of each step.
        momentum: of "sgd", 0 for none.
        epochs: passes over the device's samples a round.
        batch: samples a step.
        proximal: the weight of FedProx's term, (proximal / 2) * ||parameters - global||^2; 0 for none.
        least_samples: a device with fewer takes no part in the round.
    """

    optimiser: Optimiser = "adam"
    learning_rate: _Positive = 3e-4
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    epochs: Annotated[int, Field(ge=1, le=1000)] = 5
    batch: Annotated[int, Field(ge=1, le=4096)] = 32
    proximal: Annotated[float, Field(ge=0)] = 0.0
    least_samples: Annotated[int, Field(ge=1)] = 8


class SecureSettings(Frozen):
    """How updates are summed.

    Attributes:
        enabled: False sends plain updates; a device refuses that unless its own policy allows it.
        threshold: share of a cohort's devices that must survive for its sum to be opened; above one half.
        neighbours: peers that each device shares masks with, above 50 devices; up to 50 it is all of them. 0 takes
            as many as keep the failure probability below 2^-64 (Bell et al. 2020); fewer are refused.
    """

    enabled: bool = True
    threshold: Annotated[float, Field(gt=0.5, le=1)] = 2 / 3
    neighbours: Annotated[int, Field(ge=0, le=4096)] = 0


class PrivacySettings(Frozen):
    """Differential privacy of a device's whole contribution to a round.

    Attributes:
        mechanism: "distributed" adds each device's share of the noise before masking, "central" the server's
            noise after the sum.
        noise_multiplier: standard deviation of the whole noise, in units of the clip.
        delta: the probability that the promise fails.
        budget: the epsilon that all rounds together may not exceed.
    """

    mechanism: Literal["none", "distributed", "central"] = "none"
    noise_multiplier: _Positive = 1.0
    delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    budget: _Positive = 8.0


class ServerSettings(Frozen):
    """What the server does with the sums.

    Attributes:
        strategy: "fedavg" and "fedprox" add the mean update, "fedadam" feeds it to Adam (Reddi et al. 2021).
        learning_rate: of the mean update, or of Adam; None takes 1 for the former and 0.01 for the latter.
        combine: how the means of several cohorts (sites) become one.
        trimmed: share that "trimmed" leaves out at each end.
    """

    strategy: Literal["fedavg", "fedprox", "fedadam"] = "fedavg"
    learning_rate: _Positive | None = None
    combine: Literal["mean", "median", "trimmed"] = "mean"
    trimmed: Annotated[float, Field(ge=0, lt=0.5)] = 0.2

    @property
    def rate(self) -> float:
        """The learning rate that applies."""
        if self.learning_rate is not None:
            return self.learning_rate
        # Adam's first step is of that size in every coordinate, whatever the update's.
        return 0.01 if self.strategy == "fedadam" else 1.0


class FederatedSettings(Frozen):
    """A federated job.

    Attributes:
        rounds: how many.
        share: of the available devices that each round asks.
        least_devices: in a cohort, below which no round starts; devices hold the server to their own minimum too.
        quorum: share of the asked devices whose answers a leg waits for; then `grace_s` more for the rest.
        grace_s: seconds.
        leg_s: seconds after which a leg ends with what it has.
        clip: largest Euclidean norm of a device's update; longer ones are scaled down to it on the device.
        most_samples: a device's weight is its number of samples, at most this.
        seed: of sampling and of the devices' training order.
    """

    rounds: Annotated[int, Field(ge=1, le=10_000)] = 5
    share: _Share = 1.0
    least_devices: Annotated[int, Field(ge=2, le=100_000)] = 3
    quorum: _Share = 0.8
    grace_s: Annotated[float, Field(ge=0, le=3600)] = 10.0
    leg_s: Annotated[float, Field(gt=0, le=86_400)] = 120.0
    clip: _Positive = 1.0
    most_samples: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    seed: int = 0
    local: LocalSettings = LocalSettings()
    secure: SecureSettings = SecureSettings()
    privacy: PrivacySettings = PrivacySettings()
    server: ServerSettings = ServerSettings()

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        if self.server.strategy == "fedprox" and self.local.proximal == 0:
            raise ValueError("server.strategy fedprox needs local.proximal above 0, such as 0.01")
        if self.privacy.mechanism == "distributed" and not self.secure.enabled:
            raise ValueError(
                "privacy.mechanism distributed hides its noise in a secure sum: secure.enabled must be true"
            )
        return self

    @property
    def digest(self) -> bytes:
        """SHA-256 of the settings as canonical JSON, 32 bytes: what devices and server sign."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).digest()
