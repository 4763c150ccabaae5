"""What a plan is best at, and what it must respect: objectives, memory, precision and what stays on the device."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from splitnet.cost import Site
from splitnet.errors import ConfigError, InvalidArgumentError
from splitnet.partition import PartitionResult
from splitnet.partition.memory import peak_activation_bytes
from tests.graph import models as zoo
from tests.partition.jobs import answers, feeds, job, run_whole, site

#: Nothing is gained by splitting for latency alone, but a stage of a pipeline should be short.
EVEN = site(device_speed=1.0, bandwidth_bps=1e12, uplink_bps=1e12)


def with_machine(base: Site, tier: str, **fields: Any) -> Site:
    return base.model_copy(update={tier: getattr(base, tier).model_copy(update=fields)})


def tiers_of(result: PartitionResult) -> set[str]:
    return set(result.placement.tier_of.values())


def test_bytes_are_saved_by_sending_nothing(tmp_path: Path) -> None:
    result = job(zoo.residual(), tmp_path, objective="bytes", site=site(device_speed=1e-6))
    assert result.placement.value == 0
    assert tiers_of(result) == {"device"}
    assert result.to_json()["plan"]["objective"] == "bytes"


def test_throughput_shares_the_work_where_latency_would_not(tmp_path: Path) -> None:
    slow = job(zoo.residual(), tmp_path, objective="latency", site=EVEN, codec="none")
    assert tiers_of(slow) == {"device"}
    result = job(zoo.residual(), tmp_path, objective="throughput", site=EVEN, codec="none", profile_s=0.2)
    plan = result.package.manifest.plan
    assert plan.method == "milp"
    assert plan.value < result.alternatives["all-device"].solution.placement.value
    assert plan.predicted_ms > slow.placement.latency_ms  # it is not what latency would choose
    inputs = feeds(result.package, 3)
    np.testing.assert_array_equal(
        answers(result.package, inputs)["y"], run_whole(tmp_path / "model.onnx", inputs)["y"]
    )


def test_energy_goes_where_it_is_cheap(tmp_path: Path) -> None:
    powered = EVEN
    for tier, watts in (("device", 5.0), ("edge", 0.0), ("cloud", 0.0)):
        powered = with_machine(powered, tier, watts=watts)
    result = job(zoo.residual(), tmp_path, objective="energy", site=powered)
    assert result.placement.energy_mj == result.placement.value
    assert "device" not in tiers_of(result)
    alone = result.alternatives["all-device"].solution.placement
    assert alone.energy_mj == pytest.approx(5.0 * alone.latency_ms)
    assert result.placement.value < alone.value


def test_energy_needs_to_know_the_power(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"machine\.pi-zero\.watts: missing, and objective energy needs it"):
        job(zoo.residual(), tmp_path, objective="energy")


def test_a_device_with_little_memory_holds_few_weights(tmp_path: Path) -> None:
    roomy = job(zoo.residual(), tmp_path, site=EVEN)
    assert tiers_of(roomy) == {"device"}
    held = sum(segment.param_bytes for segment in roomy.package.manifest.segments)
    analysis = roomy.search.analysis
    peak = peak_activation_bytes(analysis.model, analysis.flow)
    assert peak >= 2 * 4 * 8 * 8 * 4  # an addition reads two tensors of four channels
    tight = with_machine(EVEN, "device", memory_bytes=held // 2 + peak)
    result = job(zoo.residual(), tmp_path, site=tight)
    assert tiers_of(result) != {"device"}
    assert "all-device" not in result.alternatives
    device = result.package.manifest.segment_of("device")
    assert device is None or device.param_bytes <= held // 2


def test_a_device_too_small_for_activations_runs_nothing(tmp_path: Path) -> None:
    tiny = with_machine(EVEN, "device", memory_bytes=1000)
    result = job(zoo.residual(), tmp_path, site=tiny)
    assert "device" not in tiers_of(result)
    with pytest.raises(ConfigError, match=r"keep_on_device \['block_0'\]: the device, 'pi-zero', has 1,000 bytes"):
        job(zoo.residual(), tmp_path, site=tiny, keep_on_device=("block_0",))


def test_no_machine_that_can_run_the_model_is_an_error(tmp_path: Path) -> None:
    narrow = EVEN
    for tier in ("device", "edge", "cloud"):
        narrow = with_machine(narrow, tier, precisions=("int8",))
    with pytest.raises(ConfigError, match=r"no machine of the site can run this model: .* needs float32"):
        job(zoo.residual(), tmp_path, site=narrow)


def test_a_machine_without_floats_computes_nothing_of_a_float_model(tmp_path: Path) -> None:
    result = job(zoo.residual(), tmp_path, site=with_machine(EVEN, "device", precisions=("int8",)))
    assert "device" not in tiers_of(result)


def test_what_must_stay_on_the_device_stays(tmp_path: Path) -> None:
    fast_above = site(device_speed=1e-4, bandwidth_bps=1e12, uplink_bps=1e12)
    free = job(zoo.residual(), tmp_path, site=fast_above)
    assert "device" not in tiers_of(free)
    kept = job(zoo.residual(), tmp_path, site=fast_above, keep_on_device=("block_0",))
    made_by = {tensor.name: tensor for tensor in kept.search.analysis.flow.tensors}
    tensor = made_by["block_0"]
    assert tensor.producer is not None
    assert {kept.placement.tier_of[name] for name in (tensor.producer, *tensor.consumers)} == {"device"}
    assert all("block_0" not in wire for wire in kept.cuts)
    assert set(kept.alternatives) <= {"all-device", "best-split"}


def test_an_unknown_tensor_cannot_be_kept(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"keep_on_device.*'blok_0'"):
        job(zoo.residual(), tmp_path, keep_on_device=("blok_0",))
