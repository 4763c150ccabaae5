"""What the demo shows: a table of split and unsplit runs, and in words which won and why."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from splitnet.cost import Site
    from splitnet.emulate.comparison import Figures

#: Tiles that cover one circuit board.
TILES_A_BOARD = 100


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What was measured.

    Attributes:
        figures: by choice: "split", "all-device", "all-edge" and "all-cloud".
        predicted: what the planner expects of its own choices, milliseconds a tile.
        site: what the lab emulates.
    """

    figures: Mapping[str, "Figures"]
    predicted: Mapping[str, float]
    site: "Site"

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        label = {"emulated_device_speed": self.site.device.speed}
        fields = {name.replace("-", "_"): _fields(one) | label for name, one in self.figures.items()}
        return fields.pop("split") | {"baselines": fields}

    def print(self, *, seconds: float) -> None:
        """Print the table and the verdict to standard output."""
        _print(self, seconds=seconds)


def boards_per_minute(figures: "Figures") -> float:
    """Return how many boards of `TILES_A_BOARD` tiles are inspected in a minute."""
    return figures.samples_per_s * 60 / TILES_A_BOARD


def _fields(figures: "Figures") -> dict[str, Any]:
    return {
        "samples": figures.samples,
        "accuracy": figures.accuracy,
        "errors": figures.errors,
        "fallbacks": figures.fallbacks,
        "exits": figures.exits,
        "latency_ms": figures.latency_ms,
        "latency_samples": figures.latency_samples,
        "bytes_per_sample": figures.bytes_per_sample,
        "boards_per_minute": boards_per_minute(figures),
    }


def _print(result: DemoResult, *, seconds: float) -> None:
    console = Console(highlight=False)
    console.print(_table(result))
    for name, one in result.figures.items():
        if one.errors or one.fallbacks:
            console.print(f"[red]{name}: {one.errors} errors, {one.fallbacks} answers by a fallback[/]")
    device, links = result.site.device, result.site.links
    shown = ", ".join(f"{link.bandwidth_bps / 1e6:g} Mbit/s {link.delay_ms:g} ms" for link in links)
    console.print(
        "The device is an emulation: a thread that sleeps until each run of its segment has taken as long as at "
        f"{device.speed:g} of this machine's speed ({device.name}). What Python and gRPC spend on sending is not "
        "slowed, which flatters the choices that send every tile. "
        f"Links are emulated: {shown} one way. Latency is with one tile in flight, the rest with up to 64; "
        f"a board is {TILES_A_BOARD} tiles. Unsplit choices get the first of the same tiles in the same order."
    )
    expected = ", ".join(f"{name} {milliseconds:.2f}" for name, milliseconds in result.predicted.items())
    console.print(
        "The demo cuts at the ends of the model's stages so that all three tiers take part. Left to choose, the "
        f"planner expects, ms a tile: {expected}."
    )
    for line in verdict(result):
        console.print(line)
    console.print(f"[dim]{seconds:.0f} s in all[/]")


def _table(result: DemoResult) -> Table:
    """The figures in 80 columns."""
    title = "inspecting tiles of printed circuit boards"
    table = Table(title=title, box=None, padding=(0, 2, 0, 0), pad_edge=False)
    headings = (
        "",
        "tiles",
        "accuracy",
        "answered at, %\ndev./edge/cloud",
        "latency, ms\np50/p90/p99",
        "bytes/tile\nWi-Fi/WAN",
        "boards\n/min",
    )
    for heading in headings:
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for name, one in result.figures.items():
        table.add_row(
            f"[bold]{name}[/]",
            f"{one.samples:,}",
            f"{one.accuracy:.2%}" if one.accuracy is not None else "-",
            "/".join(f"{100 * count / max(1, one.samples):.1f}" for count in one.exits.values()),
            "/".join(f"{value:.3g}" for value in one.latency_ms.values()),
            "/".join(f"{value:.0f}" for value in one.bytes_per_sample.values()),
            f"{boards_per_minute(one):,.0f}",
        )
    return table


def verdict(result: DemoResult) -> list[str]:
    """Say in words where splitting wins and where it does not, from the figures alone."""
    split = result.figures["split"]
    others = {name: one for name, one in result.figures.items() if name != "split"}
    lines = [_compare(measure, split, others) for measure in MEASURES]
    near, far = (2 * link.delay_ms for link in result.site.links)
    alone_ms = others["all-device"].latency_ms.get("p50", 0.0)
    sent = 1 - split.exits["device"] / max(1, split.samples)
    lines.append(
        f"Why: a tile that leaves the device pays a round trip of {near:g} ms to the edge and of {far:g} ms more "
        f"to the cloud, and the device alone needs {alone_ms:.1f} ms for the whole model. What it is sure of it "
        f"answers after its own segment; only the rest, {sent:.0%} here, pays."
    )
    near_bps = result.site.links[0].bandwidth_bps
    carried = {
        name: near_bps / 8 / one.bytes_per_sample["device_edge"] * 60 / TILES_A_BOARD
        for name, one in result.figures.items()
        if one.bytes_per_sample["device_edge"]
    }
    lines.append(
        "One Wi-Fi serves all devices of a site. By its bandwidth and these bytes it has room for so many boards "
        "a minute: " + ", ".join(f"{name} {boards:,.0f}" for name, boards in carried.items()) + "."
    )
    return lines


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure to compare by: `value` of a run, printed with `unit`."""

    name: str
    value: Callable[["Figures"], float]
    unit: str
    more_is_better: bool = False


MEASURES = (
    Measure("boards a minute", boards_per_minute, "", more_is_better=True),
    Measure("median latency", lambda one: one.latency_ms.get("p50", 0.0), " ms"),
    Measure("p99 latency", lambda one: one.latency_ms.get("p99", 0.0), " ms"),
    Measure("bytes over Wi-Fi, of what uses it", lambda one: one.bytes_per_sample["device_edge"], " a tile"),
)

# Figures that are this near to one another differ by as much from run to run.
_AS_GOOD = 1.05


def _compare(measure: Measure, split: "Figures", others: Mapping[str, "Figures"]) -> str:
    """Hold splitting against the best of the unsplit choices."""
    # A choice that sends nothing is not the best at sending.
    values = {name: value for name, one in others.items() if (value := measure.value(one)) > 0}
    best = (max if measure.more_is_better else min)(values, key=lambda name: values[name])
    ours, theirs = measure.value(split), values[best]
    wins = ours > theirs if measure.more_is_better else ours < theirs
    low, high = sorted((ours, theirs))
    ratio = f", {high / low:.1f} times" if low > 0 else ""
    said = "[green]splitting wins[/]" if wins else f"[yellow]splitting does not win, {best} does[/]"
    if low > 0 and high / low < _AS_GOOD:
        said, ratio = f"splitting and {best} are as good", ""
    return f"{measure.name}: {said}{ratio} ({ours:,.4g}{measure.unit} against {theirs:,.4g} of {best})"
