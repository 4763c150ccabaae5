"""Runs of the same samples with the model split and not split, over the same emulated links."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from splitnet.emulate.lab import LINKS, Lab, LabSetup

# A device that is overloaded answers late rather than not at all; nothing here may take as long as this.
_DEADLINE_MS = 10_000
_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class Load:
    """How many samples a run sends.

    Attributes:
        one_by_one: with one in flight, for latency.
        streamed: with `in_flight` under way, for throughput, accuracy and bytes.
        in_flight: samples under way in the streamed part.
    """

    one_by_one: int
    streamed: int
    in_flight: int = 64


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run came to.

    Attributes:
        samples: samples of the streamed part.
        accuracy: share answered with their label; None without labels.
        errors: samples of both parts without an answer.
        fallbacks: samples of both parts for which a shallower exit stood in.
        exits: samples of the streamed part by the tier that answered.
        latency_ms: p50, p90 and p99 with one sample in flight, milliseconds.
        latency_samples: how many samples `latency_ms` is of.
        bytes_per_sample: on each link in the streamed part, both ways, framing included.
        samples_per_s: of the streamed part.
    """

    samples: int
    accuracy: float | None
    errors: int
    fallbacks: int
    exits: dict[str, int]
    latency_ms: dict[str, float]
    latency_samples: int
    bytes_per_sample: dict[str, float]
    samples_per_s: float


def measure(setup: LabSetup, samples: Path, load: Load) -> Figures:
    """Start a lab, send the samples one by one and then streamed, and stop it.

    Raises:
        SplitNetError: a tier fails or does not answer.
    """
    with Lab(setup) as lab:
        alone = _run(lab, samples, ["--samples", str(load.one_by_one), "--in-flight", "1"])
        before = lab.link_bytes()
        streamed = _run(lab, samples, ["--samples", str(load.streamed), "--in-flight", str(load.in_flight)])
        after = lab.link_bytes()
    count = streamed["answers"] + streamed["errors"]
    latency = alone["latency_ms"] or {}
    return Figures(
        samples=count,
        accuracy=streamed.get("accuracy"),
        errors=alone["errors"] + streamed["errors"],
        fallbacks=alone["fallbacks"] + streamed["fallbacks"],
        exits=streamed["exits"],
        latency_ms={name: latency[name] for name in ("p50", "p90", "p99") if name in latency},
        latency_samples=alone["answers"],
        bytes_per_sample={name: (after[name] - before[name]) / count for name in LINKS},
        samples_per_s=streamed["samples_per_s"],
    )


def _run(lab: Lab, samples: Path, arguments: Sequence[str]) -> dict[str, Any]:
    return lab.run_device(samples, ["--deadline-ms", str(_DEADLINE_MS), *arguments], timeout_s=_TIMEOUT_S)
