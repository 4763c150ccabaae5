"""Stages and tiers as the page shows them: one order, one name, one colour and one pattern each."""

from dataclasses import dataclass

from splitnet.report.quantities import short
from splitnet.tiers import Tier


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a sample's way.

    Attributes:
        name: as planners name it.
        label: as people read it.
        colour: name of the colour in page.css, without its `--`.
        pattern: Plotly's fill pattern; stages are told apart without colour too.
    """

    name: str
    label: str
    colour: str
    pattern: str


#: In the order in which a sample meets them. A tier has one hue, its exit the same with dots, a link is grey.
STAGES: tuple[Stage, ...] = (
    Stage("device", "device", "device", ""),
    Stage("device exit", "device exit", "device", "."),
    Stage("device-edge", "link device-edge", "link-low", "/"),
    Stage("edge", "edge", "edge", ""),
    Stage("edge exit", "edge exit", "edge", "."),
    Stage("edge-cloud", "link edge-cloud", "link-high", "\\"),
    Stage("cloud", "cloud", "cloud", ""),
)

STAGE: dict[str, Stage] = {stage.name: stage for stage in STAGES}
LINKS: tuple[str, ...] = ("device-edge", "edge-cloud")


def stage_times(stages: tuple[tuple[str, float], ...]) -> dict[str, float]:
    """Return the time (ms) of every stage of `STAGES`, in their order, 0 where it does not occur."""
    times = dict(stages)
    assert times.keys() <= STAGE.keys(), f"unknown stages {sorted(times.keys() - STAGE.keys())}"
    return {stage.name: times.get(stage.name, 0.0) for stage in STAGES}


def spoken_codecs(codecs: tuple[str, ...]) -> str:
    """Return the codecs of the links as words, one where all are the same."""
    return ", ".join(short(codec, 20) for codec in dict.fromkeys(codecs))


def place_of(tier: str) -> str:
    """Return where a tier is, as words: "on the device", "in the cloud"."""
    return f"{'in' if tier == 'cloud' else 'on'} the {tier}"


def spoken(tiers: tuple[Tier, ...]) -> str:
    """Return tiers as words: "device", "device and cloud", "device, edge and cloud"."""
    *first, last = tiers
    return f"{', '.join(first)} and {last}" if first else last
