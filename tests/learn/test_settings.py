"""The settings of a federated job: refused where parts contradict, and known by a digest that sees every field."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.config import load_config
from splitnet.errors import ConfigError
from splitnet.learn.settings import FederatedSettings

#: A value other than the default, for every field.
OTHER: dict[str, Any] = {
    "rounds": 7,
    "share": 0.5,
    "least_devices": 4,
    "quorum": 0.5,
    "grace_s": 1.0,
    "leg_s": 9.0,
    "clip": 2.0,
    "most_samples": 10,
    "seed": 3,
    "local.optimiser": "sgd",
    "local.learning_rate": 0.1,
    "local.momentum": 0.0,
    "local.epochs": 1,
    "local.batch": 4,
    "local.proximal": 0.01,
    "local.least_samples": 2,
    "secure.enabled": False,
    "secure.threshold": 0.9,
    "secure.neighbours": 12,
    "privacy.mechanism": "central",
    "privacy.noise_multiplier": 2.0,
    "privacy.delta": 1e-6,
    "privacy.budget": 1.0,
    "server.strategy": "fedadam",
    "server.learning_rate": 0.5,
    "server.combine": "median",
    "server.trimmed": 0.1,
}


def nested(path: str, value: object) -> dict[str, Any]:
    for name in reversed(path.split(".")):
        value = {name: value}
    assert isinstance(value, dict)
    return value


def names(value: dict[str, Any], prefix: str = "") -> set[str]:
    return {
        name
        for key, inner in value.items()
        for name in (names(inner, f"{prefix}{key}.") if isinstance(inner, dict) else {prefix + key})
    }


def test_every_field_is_tried_below() -> None:
    assert names(FederatedSettings().model_dump()) == OTHER.keys()


@pytest.mark.parametrize("path", OTHER)
def test_the_digest_sees_every_field(path: str) -> None:
    changed = FederatedSettings.model_validate(nested(path, OTHER[path]))
    assert changed.digest != FederatedSettings().digest


@given(st.integers(1, 10_000), st.floats(0.01, 1))
def test_the_digest_is_that_of_the_values(rounds: int, share: float) -> None:
    settings = FederatedSettings(rounds=rounds, share=share)
    again = FederatedSettings.model_validate_json(settings.model_dump_json())
    assert again.digest == settings.digest
    assert len(settings.digest) == 32


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"server": {"strategy": "fedprox"}}, "local.proximal above 0"),
        ({"secure": {"enabled": False}, "privacy": {"mechanism": "distributed"}}, "secure.enabled must be true"),
        ({"secure": {"threshold": 0.5}}, "secure.threshold"),
        ({"least_devices": 1}, "least_devices"),
        ({"round": 5}, "round: unknown key"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_config(FederatedSettings, None, values)
