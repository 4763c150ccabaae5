"""What `splitnet partition` tells a person: a table, a few sentences, and the report if one was asked for."""

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from splitnet.errors import InvalidArgumentError
from splitnet.tiers import TIERS

if TYPE_CHECKING:
    from splitnet.package import VerificationEntry
    from splitnet.partition import PartitionResult


def check_report(path: Path) -> None:
    """Raise, before any work is done, where the report could not be written."""
    if importlib.util.find_spec("plotly") is None:
        raise InvalidArgumentError("`--report` needs plotly: install SplitNet with the extra, splitnet[report]")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InvalidArgumentError(f"--report {path}: expected a file in a folder that exists")


def save_report(result: "PartitionResult", path: Path) -> None:
    """Write the HTML report of a job."""
    from splitnet.partition.report_data import report_of
    from splitnet.report import write_report

    write_report(report_of(result), path)


def print_result(result: "PartitionResult", *, compared: bool) -> None:
    """Print the chosen plan beside the choices that were not taken.

    Args:
        result: of the job.
        compared: whether the planner was free to choose, so that not splitting is its own verdict.
    """
    console = Console(highlight=False)
    plan = result.package.manifest.plan
    console.print(_table(result))
    stages = "  ".join(f"{name} {ms:.2f}" for name, ms in result.placement.stages)
    console.print(f"expected time of a sample, ms: {stages}")
    for wire in result.found.plan.sent:
        sent = ", ".join(f"{tensor} as {way}" for tensor, way in wire)
        console.print(f"wire: {sent}", soft_wrap=True)
    console.print(_proof(result, compared=compared))
    for line in (*_plans(result), *_training(result)):
        console.print(line, soft_wrap=True)
    if broken := result.search.broken:
        console.print(f"not used, because they change too many answers: {_listed(broken)}", soft_wrap=True)
    if result.options.calibration is None:
        console.print("without --calibration inputs are random, and no codec but none and f16 is considered")
    if result.changes_answers:
        console.print("[yellow]the codec changes the answers: see agreement and differences below[/]")
    if compared and not result.is_split:
        console.print("[yellow]not splitting is better on this site: the plan made for it has one segment[/]")
    if not result.device_answers_alone and result.package.manifest.backup is None:
        console.print("[yellow]without the tiers above this device cannot answer: it has no exit[/]")
    if result.exit_shares == "recorded":
        console.print("who leaves early is taken from the model's metadata: give --calibration to measure it")
    console.print(_verdict(plan.verification))
    console.print(f"wrote {result.package.path}", soft_wrap=True)


def _table(result: "PartitionResult") -> Table:
    found = {"[bold]chosen": result.found} | {
        _LABELS.get(name, name): one for name, one in result.alternatives.items()
    }
    headings = ["choice", "predicted ms", "measured ms", "bytes a sample", "energy mJ"]
    objective = result.options.objective
    if objective == "throughput":
        headings.insert(1, "slowest stage ms")
    table = Table(*headings)
    for name, one in found.items():
        placement = one.solution.placement
        cells = [
            name,
            f"{placement.latency_ms:.2f}",
            _number(one.measured.latency_ms if one.measured is not None else None),
            f"{sum(placement.bytes):,.0f}",
            _number(placement.energy_mj),
        ]
        if objective == "throughput":
            cells.insert(1, f"{placement.value:.2f}")
        table.add_row(*cells)
    return table


def _plans(result: "PartitionResult") -> Iterator[str]:
    """Say where each of several plans begins, and where it cuts."""
    if len(result.plans) == 1:
        return
    for plan in sorted(result.plans, key=lambda one: one.bandwidth_from_bps):
        sent = [", ".join(f"{tensor} as {way}" for tensor, way in wire) for wire in plan.found.plan.sent]
        tiers = " + ".join(segment.tier for segment in plan.found.plan.segments)
        yield f"best from {plan.bandwidth_from_bps / 1e6:.3g} Mbit/s on: {tiers}" + "".join(
            f"; to the {tier} {one}" for tier, one in zip(TIERS[1:], sent, strict=False)
        )


def _training(result: "PartitionResult") -> Iterator[str]:
    for entry in result.package.manifest.training:
        yield f"can learn on the device: {entry.parameter_count:,} parameters that lead to {entry.output}"


def _listed(broken: Sequence[tuple[str, str]]) -> str:
    """Name each codec with the tensors where it was tried."""
    tensors: dict[str, list[str]] = {}
    for tensor, loss in broken:
        tensors.setdefault(loss, []).append(tensor)
    return "; ".join(f"{loss} at {', '.join(names)}" for loss, names in tensors.items())


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


_LABELS = {"best-split": "best split, as predicted"}
_UNITS = {"latency": "ms", "throughput": "ms a sample", "energy": "mJ", "bytes": "bytes"}


def _proof(result: "PartitionResult", *, compared: bool) -> str:
    plan = result.package.manifest.plan
    reached = f"{plan.objective} {plan.value:,.2f} {_UNITS[plan.objective]}"
    if not compared:
        return f"{reached}; free to choose, the planner would come to {plan.bound:,.2f} at best"
    return f"{reached}; no plan has less than {plan.bound:,.2f} ({plan.method}, gap {plan.gap:.1%})"


def _verdict(checked: "VerificationEntry") -> str:
    text = (
        f"verified: {checked.level}, max abs {checked.max_abs:.3g}, max rel {checked.max_rel:.3g}, "
        f"{checked.samples} samples"
    )
    if checked.agreement is not None:
        text += f", {checked.agreement:.2%} of predicted classes agree"
    if checked.accuracy_drop is not None:
        text += f", accuracy drop {checked.accuracy_drop:.2%}"
    return text
