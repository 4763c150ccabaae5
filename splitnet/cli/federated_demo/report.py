"""What the federated demo shows: the fleet before and after, and whether the sum was the sum."""

from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from splitnet.cli.federated_demo.fleet import Served, SwapLoad


@dataclass(frozen=True, slots=True)
class Half:
    """The figures of a half of the tiles.

    Attributes:
        served: what serving them came to.
        device_accuracy: share that the device's own exit has right, of all of them.
    """

    served: Served
    device_accuracy: float

    @property
    def accuracy(self) -> float:
        """Share answered with their label, by whoever answered."""
        return self.served.right / self.served.tiles

    @property
    def forwarded_share(self) -> float:
        """Share that had to go up."""
        return self.served.forwarded / self.served.tiles

    def to_json(self) -> dict[str, float]:
        """Return the figures as JSON's types."""
        return {
            "device_accuracy": self.device_accuracy,
            "accuracy": self.accuracy,
            "forwarded_share": self.forwarded_share,
            "bytes_per_sample": self.served.bytes_per_sample,
        }


@dataclass(frozen=True, slots=True)
class FederatedResult:
    """What the demo measured.

    Attributes:
        before: the first half, served by the version that came from training.
        after: the second half, served by whichever version the fleet ran then.
        unlearned: accuracy at the device's exit and share forwarded that the first version would have had on the
            second half: what of the change is the tiles', and what is learning's.
        rounds: that were completed.
        clients: devices in them.
        learned_from: tiles that taught the devices.
        round_s: seconds of a round, the median.
        round_bytes_per_device: that a device received and sent in a round, the median.
        secure_sum_max_abs_error: largest difference between the secure mean of the first round and the plain mean
            of the same updates.
        swap: what was asked while the versions changed.
        thresholds: of the device's exit, in the first version and in the new one.
        released: whether the new version was.
        reason: of the judgement.
    """

    before: Half
    after: Half
    unlearned: tuple[float, float]
    rounds: int
    clients: int
    learned_from: int
    round_s: float
    round_bytes_per_device: float
    secure_sum_max_abs_error: float
    swap: SwapLoad
    thresholds: tuple[float, float]
    released: bool
    reason: str

    @property
    def errors(self) -> int:
        """Requests without an answer, in all."""
        return self.before.served.errors + self.after.served.errors + self.swap.errors

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        unlearned = {"device_accuracy": self.unlearned[0], "forwarded_share": self.unlearned[1]}
        return {
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "after_without_learning": unlearned,
            "rounds": self.rounds,
            "clients": self.clients,
            "learned_from": self.learned_from,
            "round_s": self.round_s,
            "round_bytes_per_device": self.round_bytes_per_device,
            "secure_sum_max_abs_error": self.secure_sum_max_abs_error,
            "errors": self.errors,
            "swap": {
                "answers_by_version": {str(name): count for name, count in sorted(self.swap.answers.items())},
                "fallbacks": self.swap.fallbacks,
            },
            "released": self.released,
            "reason": self.reason,
        }

    def print(self, *, seconds: float) -> None:
        """Print the table and what it says to standard output."""
        console = Console(highlight=False)
        console.print(_table(self))
        for line in _said(self):
            console.print(line)
        console.print(f"[dim]{seconds:.0f} s in all[/]")


def _table(result: FederatedResult) -> Table:
    table = Table(title="devices on new production lines", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in (
        "",
        "tiles",
        "device's exit\naccuracy",
        "sent up",
        "bytes/tile\nWi-Fi",
        "accuracy\nin the end",
    ):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    _row(table, "first half, before", result.before)
    table.add_row(
        "second half, without",
        f"{result.after.served.tiles:,}",
        f"{result.unlearned[0]:.2%}",
        f"{result.unlearned[1]:.2%}",
        "-",
        "-",
    )
    _row(table, "second half, after", result.after)
    return table


def _row(table: Table, name: str, half: Half) -> None:
    table.add_row(
        f"[bold]{name}[/]",
        f"{half.served.tiles:,}",
        f"{half.device_accuracy:.2%}",
        f"{half.forwarded_share:.2%}",
        f"{half.served.bytes_per_sample:.1f}",
        f"{half.accuracy:.2%}",
    )


def _said(result: FederatedResult) -> list[str]:
    learned = (
        f"{result.clients} devices learned in {result.rounds} rounds from the {result.learned_from} tiles that "
        "they had to send up, by the answers that came back: without labels, and no tile left them for it. "
        f"A round took {result.round_s:.0f} s, and {result.round_bytes_per_device / 1024:,.0f} KB of each device."
    )
    summed = (
        "The server saw masked vectors alone. Their mean in the first round is within "
        f"{result.secure_sum_max_abs_error:.1e} of the plain mean of the same updates."
    )
    judged = f"Judged on the tiles that chose the first version's thresholds: {result.reason}."
    here = "All of it ran on this machine: devices are sessions of one process, Wi-Fi and WAN are emulated."
    if not result.released:
        return [learned, summed, f"[yellow]The new version was not released.[/] {judged}", here]
    answers = ", ".join(f"{count:,} of version {name}" for name, count in sorted(result.swap.answers.items()))
    swapped = f"Swapped under load: {answers}; {result.swap.errors} errors, {result.swap.fallbacks} fallbacks."
    fewer = 1 - result.after.forwarded_share / max(result.before.forwarded_share, 1e-9)
    alike = 1 - result.after.forwarded_share / max(result.unlearned[1], 1e-9)
    old, new = result.thresholds
    sent = (
        f"Sent up: {fewer:.0%} fewer than of the first half; of the second, {alike:.0%} fewer than before. The "
        f"device's exit answers from a confidence of {new:.3f} on, before from {old:.3f}, at the same stated risk."
    )
    return [learned, summed, judged, swapped, sent, here]
