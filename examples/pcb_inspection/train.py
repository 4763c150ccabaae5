"""Trains the inspection network, chooses its exits' thresholds, exports model.onnx and reports on test."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from export import TOLERANCE, export, largest_difference
from fit import fit
from measure import Answers, answers, boundary_ranges
from network import InspectionNetwork
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from tiles import UNSEEN_LINES, TileSet, hold_out, load_tiles, save_tiles

from splitnet.exits.calibrate import ExitThreshold, choose_threshold

HELD_OUT_SHARE = 0.2
# What leaving early may cost in all: 0.5 points of accuracy, with probability 95 %. Two exits share both.
EPSILON = 0.005
DELTA = 0.05
EARLY_EXITS = 2


def arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "model.onnx")
    return parser.parse_args()


def calibrate(held_out: Answers) -> tuple[ExitThreshold, ExitThreshold]:
    """Chooses the threshold of each early exit on tiles that trained nothing."""
    chosen = [
        choose_threshold(
            held_out.confidence[depth],
            held_out.correct[depth],
            held_out.correct[-1],
            epsilon=EPSILON / EARLY_EXITS,
            delta=DELTA / EARLY_EXITS,
        )
        for depth in range(EARLY_EXITS)
    ]
    first, second = chosen
    if first is None or second is None:
        raise SystemExit("an early exit is too often wrong and sure for any threshold: train longer")
    return first, second


def report(console: Console, rows: dict[str, Answers], thresholds: tuple[float, float]) -> None:
    """Prints the accuracy of each exit, and where samples leave, for each set of answers."""
    table = Table(title="accuracy, and the cascade at its thresholds (%)")
    for heading in ("tiles", "n", "exit 1", "exit 2", "last", "leave at 1/2/last", "cascade"):
        table.add_column(heading)
    for name, found in rows.items():
        shares, right = found.cascade(thresholds)
        table.add_row(
            name,
            str(found.correct.shape[1]),
            *(f"{100 * one:.2f}" for one in found.accuracy()),
            "/".join(f"{100 * one:.1f}" for one in shares),
            f"{100 * right:.2f}",
        )
    console.print(table)


def _fit(training: TileSet, chosen: argparse.Namespace, console: Console) -> InspectionNetwork:
    """Trains with a bar on a terminal, with a line an epoch elsewhere."""
    started = time.monotonic()
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("training", total=chosen.epochs)

        def progress(epoch: int, loss: float) -> None:
            bar.update(task, completed=epoch, description=f"training, loss {loss:.4f}")
            if not console.is_terminal:
                spent_s = time.monotonic() - started
                console.print(f"epoch {epoch}/{chosen.epochs}  loss {loss:.4f}  {spent_s:.0f} s")

        return fit(training, epochs=chosen.epochs, seed=chosen.seed, progress=progress)


def main() -> None:
    """Runs it all; takes about twelve minutes on two cores."""
    chosen = arguments()
    console = Console()
    torch.set_num_threads(chosen.threads)
    training, held_out = hold_out(load_tiles("train"), share=HELD_OUT_SHARE, seed=chosen.seed)
    network = _fit(training, chosen, console)
    calibration = answers(network, held_out)
    thresholds = calibrate(calibration)
    for one in thresholds:
        console.print(one)
    export(network, thresholds, chosen.output)
    save_tiles(held_out, chosen.output.with_name("calibration.npz"))
    difference = largest_difference(network, held_out, chosen.output)
    console.print(f"{chosen.output}: {chosen.output.stat().st_size} bytes, {difference:.1e} from torch")
    if difference > TOLERANCE:
        raise SystemExit(f"onnxruntime differs from torch by more than {TOLERANCE}")

    # The test tiles are first touched here, when nothing is left to choose.
    test = load_tiles("test")
    unseen = np.isin(test.lines, UNSEEN_LINES)
    found = answers(network, test)
    rounded = answers(network, test, ranges=boundary_ranges(network, held_out))
    rows = {
        "held out": calibration,
        "test": found,
        "test, seen lines": found[~unseen],
        "test, unseen lines": found[unseen],
        "test, uint8 cuts": rounded,
    }
    report(console, rows, (thresholds[0].threshold, thresholds[1].threshold))


if __name__ == "__main__":
    main()
