"""A package to disk and back."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings

from splitnet.package import Manifest, PlanEntry, TensorEntry, open_package, write_package
from splitnet.tiers import TIERS
from tests.package.strategies import Content, contents, example


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(contents())
def test_a_package_is_read_as_it_was_written(content: Content) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.split"
        write_package(path, content.manifest, content.files)
        package = open_package(path)
        assert package.manifest == content.manifest
        assert package.check() == sum(map(len, content.files.values()))
        for segment in package.manifest.segments:
            model = package.read_segment(segment)
            assert (path / segment.file if segment.weights else content.files[segment.file]) == model
        on_disk = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
        assert on_disk == {"manifest.json", *content.files}


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(contents())
def test_what_a_manifest_tells_of_each_tier(content: Content) -> None:
    manifest = content.manifest
    assert manifest.plan is manifest.plans[0]
    for plan in manifest.plans:
        check_tiers(manifest, plan)
        check_wires(plan)
    assert [manifest.segment_of(tier) for tier in TIERS] == [manifest.segment_of(t, manifest.plan) for t in TIERS]


def check_tiers(manifest: Manifest, plan: PlanEntry) -> None:
    segments = {segment.id: segment for segment in manifest.segments}
    by_tier = {segments[name].tier: segments[name] for name in plan.segments}
    for tier in TIERS:
        segment = manifest.segment_of(tier, plan)
        assert segment == by_tier.get(tier)
        if segment is not None:
            named = manifest.exit_of(segment.id)
            assert (named is not None) == (segment.id in {entry.segment for entry in manifest.exits})


def check_wires(plan: PlanEntry) -> None:
    assert plan.last_tier == TIERS[len(plan.wires)]
    for lower, upper, wire in zip(TIERS, TIERS[1:], plan.wires, strict=False):
        assert plan.wire_from(lower) is wire
        assert plan.wire_into(upper) is wire
        assert [TensorEntry.from_spec(spec).name for spec in wire.specs] == [each.name for each in wire.tensors]
    assert plan.wire_into("device") is None
    assert plan.wire_from(plan.last_tier) is None


def test_a_segment_that_the_plan_leaves_out_is_no_tiers() -> None:
    content = example()
    edge = content.manifest.segments[0].model_copy(update={"id": "spare", "tier": "edge", "file": "spare.onnx"})
    manifest = content.manifest.model_copy(update={"segments": (*content.manifest.segments, edge)})
    assert manifest.segment_of("edge") is None


def test_the_manifest_is_plain_json_that_ends_in_a_newline(tmp_path: Path) -> None:
    content = example()
    package = write_package(tmp_path / "p.split", content.manifest, content.files)
    text = (package.path / "manifest.json").read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert '"format_version": 4' in text
    assert Manifest.model_validate_json(text, strict=True) == content.manifest
