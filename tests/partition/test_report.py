"""The report of a real job: what it is filled with."""

from pathlib import Path

import numpy as np
import pytest

from splitnet.partition import PartitionResult
from splitnet.partition.report_data import report_of
from splitnet.report import Report, write_report
from tests.partition.jobs import calibration, job, site
from tests.partition.models import classifier, logits


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[PartitionResult, Report]:
    folder = tmp_path_factory.mktemp("report")
    x, labels = logits(600)
    result = job(
        classifier(),
        folder,
        calibration=calibration(folder, x=x, labels=labels),
        site=site(device_speed=1e-3, bandwidth_bps=1e6),
        plans=2,
    )
    return result, report_of(result)


def test_the_plan_and_what_stands_beside_it(done: tuple[PartitionResult, Report]) -> None:
    result, report = done
    assert report.chosen.latency_ms == result.placement.latency_ms
    assert report.chosen.accuracy == result.found.verification.accuracy
    assert {choice.name for choice in report.alternatives} == set(result.alternatives)
    assert [choice.measured_ms for choice in report.measured] == sorted(
        found.measured.value for found in result.ranking.tried if found.measured is not None
    )
    assert report.bound == result.package.manifest.plan.bound


def test_every_cut_with_every_way_to_send_it(done: tuple[PartitionResult, Report]) -> None:
    result, report = done
    nodes = result.search.analysis.flow.nodes
    assert {cut.position for cut in report.cuts} == set(range(len(nodes)))
    assert len({cut.codec for cut in report.cuts}) > 3
    assert all(cut.latency_ms == pytest.approx(sum(ms for _, ms in cut.stages)) for cut in report.cuts)


def test_the_graph_is_the_models(done: tuple[PartitionResult, Report]) -> None:
    result, report = done
    names = {node.id for node in report.nodes}
    assert {edge.source for edge in report.edges} | {edge.target for edge in report.edges} <= names
    crossing = {edge.source for edge in report.edges if edge.crosses}
    made = {tensor.name: tensor.producer or tensor.name for tensor in result.search.analysis.flow.tensors}
    assert crossing == {made[name] for wire in result.cuts for name in wire}


def test_curves_meet_where_the_best_plan_changes(done: tuple[PartitionResult, Report]) -> None:
    _, report = done
    curves = {curve.name: np.array(curve.latency_ms) for curve in report.curves}
    assert report.curves[0].bandwidths_bps[0] not in [takeover.bandwidth_bps for takeover in report.takeovers]
    for takeover in report.takeovers:
        at = report.curves[0].bandwidths_bps.index(takeover.bandwidth_bps)
        assert curves[takeover.plan_name][at] == min(curve[at] for curve in curves.values())


def test_it_is_written(done: tuple[PartitionResult, Report], tmp_path: Path) -> None:
    write_report(done[1], tmp_path / "report.html")
    assert "device" in (tmp_path / "report.html").read_text(encoding="utf-8")
