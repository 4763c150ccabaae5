"""Where a model is cut: by hand, or by --place; and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from splitnet.deadline import Deadline
from splitnet.errors import InvalidArgumentError, ModelError, NotFoundError
from splitnet.partition import PartitionResult
from tests.graph import models as zoo
from tests.graph.running import same_bits
from tests.partition.jobs import answers, calibration, deployed, feeds, job, run_whole, site
from tests.partition.models import shared_table, single_node


def tiers(result: PartitionResult) -> list[str]:
    return [segment.tier for segment in result.package.manifest.segments]


def wire_names(result: PartitionResult) -> list[list[str]]:
    return [[tensor.name for tensor in wire.tensors] for wire in result.package.manifest.plan.wires]


def test_one_cut_ends_at_the_edge_and_two_in_the_cloud(tmp_path: Path) -> None:
    one = job(zoo.residual(), tmp_path, codec="none", cuts=(("stem",),))
    assert tiers(one) == ["device", "edge"]
    assert wire_names(one) == [["stem"]]
    assert one.package.manifest.plan.last_tier == "edge"
    two = job(zoo.residual(), tmp_path, codec="none", cuts=(("stem",), ("block_1",)))
    assert tiers(two) == ["device", "edge", "cloud"]
    assert two.cuts == (("stem",), ("block_1",))
    assert wire_names(two) == [["stem"], ["block_1"]]


def test_a_plan_is_called_after_what_it_runs_and_sends(tmp_path: Path) -> None:
    jobs: list[dict[str, Any]] = [
        {"cuts": (("stem",),), "codec": "none"},
        {"cuts": (("stem",),), "codec": "f16"},
        {"cuts": (("block_0",),), "codec": "none"},
    ]
    plans = [job(zoo.residual(), tmp_path, **options).package.manifest.plan.id for options in (*jobs, jobs[0])]
    assert len(set(plans)) == 3
    assert plans[0] == plans[3]


@pytest.mark.parametrize(
    ("cuts", "text"),
    [
        (
            (("deep",),),
            r"do not separate the model: past them leak 'skip_1' .*'skip_2' .*; add \['skip_1', 'skip_2'\]",
        ),
        ((("skip_2",),), r"leak 'skip_1' \(made by 'n_skip_1' below, read by .* above\); add \['skip_1'\]"),
        ((("skip_1", "deep", "skip_2"), ("skip_1",)), "is not above the cut"),
    ],
)
def test_a_cut_that_leaks_says_what_leaks(cuts: tuple[tuple[str, ...], ...], text: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=text):
        job(zoo.unet(), tmp_path, cuts=cuts)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_an_unknown_tensor_gets_near_names_offered(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no tensor 'blok_0'.* 'block_0'"):
        job(zoo.residual(), tmp_path, cuts=(("blok_0",),))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"cuts": (("a",), ("b",), ("c",))}, "3 cuts by hand: three tiers have at most two"),
        ({"cuts": (("a",),), "place": "split"}, "leave --place out"),
        ({"name": "a b"}, "name 'a b': expected"),
        ({"name": ""}, "name ''"),
        ({"version": 0}, "version 0: expected 1 to"),
        ({"version": 2**31 + 1}, "version 2147483649"),
        ({"codec": "u8"}, "codec u8 needs the values' ranges: give --calibration"),
    ],
)
def test_options_that_cannot_be_are_refused_before_the_model_is_read(
    options: dict[str, Any], text: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidArgumentError, match=text):
        job(tmp_path / "missing.onnx", tmp_path, **options)


def test_the_same_cut_twice_makes_the_edge_a_relay(tmp_path: Path) -> None:
    result = job(zoo.residual(), tmp_path, codec="none", cuts=(("stem",), ("stem",)))
    assert tiers(result) == ["device", "cloud"]
    assert wire_names(result) == [["stem"], ["stem"]]
    inputs = feeds(result.package, 2)
    whole = run_whole(tmp_path / "model.onnx", inputs)
    assert same_bits(answers(result.package, inputs), whole)
    with deployed(result.package) as device:
        answer = device.submit(inputs, Deadline.after_ms(60_000)).result(timeout=60)
    assert answer.exits == ("cloud", "cloud")
    np.testing.assert_allclose(answer.outputs["y"], whole["y"], rtol=1e-4, atol=1e-5)


def test_an_edge_may_do_no_more_than_change_the_codec(tmp_path: Path) -> None:
    # The device is too slow to encode, and the uplink too slow to send the tensor as it is.
    x = np.random.default_rng(0).standard_normal((64, 3, 8, 8)).astype(np.float32)
    slow = site(device_speed=1e-6, bandwidth_bps=1e9, uplink_bps=1e4)
    result = job(
        zoo.residual(), tmp_path, cuts=(("stem",), ("stem",)), calibration=calibration(tmp_path, x=x), site=slow
    )
    assert tiers(result) == ["device", "edge", "cloud"]
    assert wire_names(result)[0] == ["stem"]
    assert "stem" not in wire_names(result)[1]
    lower, upper = result.package.manifest.plan.wires
    assert sum(t.bytes_per_sample for t in upper.tensors) < lower.tensors[0].bytes_per_sample / 3
    assert result.package.manifest.segments[1].param_bytes < 100  # the codec's constants alone
    inputs = {"x": x[:5]}
    whole = run_whole(tmp_path / "model.onnx", inputs)["y"]
    assert np.array_equal(answers(result.package, inputs)["y"].argmax(axis=1), whole.argmax(axis=1))
    with deployed(result.package) as device:
        answer = device.submit(inputs, Deadline.after_ms(60_000)).result(timeout=60)
    assert np.array_equal(answer.outputs["y"].argmax(axis=1), whole.argmax(axis=1))


def test_a_quantised_model_is_cut_only_at_its_quantisers(tmp_path: Path) -> None:
    proto = zoo.quantised()
    inner = next(node.output[0] for node in proto.graph.node if node.op_type == "Relu")
    with pytest.raises(ModelError, match=rf"the cut \['{inner}'\] cannot be sent as asked"):
        job(proto, tmp_path, cuts=((inner,),))
    result = job(proto, tmp_path, place="split")
    assert result.is_split
    (name,) = wire_names(result)[0]
    assert name in {node.output[0] for node in proto.graph.node if node.op_type == "QuantizeLinear"}
    assert result.package.manifest.plan.wires[0].tensors[0].dtype == "uint8"


def test_a_tensor_whose_samples_cannot_be_told_apart_is_not_sent(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"the cut \['flat_0'\] cannot be sent as asked: .* no batch axis"):
        job(zoo.transformer(), tmp_path, codec="none", cuts=(("flat_0",),))


@pytest.mark.parametrize(
    ("place", "segments", "links"),
    [
        ("all-device", ["device"], []),
        ("all-edge", ["edge"], [["x"]]),
        ("all-cloud", ["cloud"], [["x"], ["x"]]),
    ],
)
def test_not_splitting_is_a_choice(
    place: str, segments: list[str], links: list[list[str]], tmp_path: Path
) -> None:
    result = job(zoo.residual(), tmp_path, place=place)
    assert tiers(result) == segments
    assert wire_names(result) == links
    assert not result.is_split
    assert result.package.manifest.plan.verification.level == "bit-equal"
    inputs = feeds(result.package, 2)
    with deployed(result.package) as device:
        answer = device.submit(inputs, Deadline.after_ms(60_000)).result(timeout=60)
    assert answer.exits == (segments[0],) * 2
    whole = run_whole(tmp_path / "model.onnx", inputs)
    np.testing.assert_allclose(answer.outputs["y"], whole["y"], rtol=1e-4, atol=1e-5)


def test_all_choices_are_told_with_their_price(tmp_path: Path) -> None:
    result = job(zoo.residual(), tmp_path, codec="none")
    choices = {choice.name: choice for choice in result.package.manifest.plan.alternatives}
    assert set(choices) == {"all-device", "all-edge", "all-cloud", "best-split"}
    assert choices["all-device"].bytes == 0
    assert choices["all-edge"].bytes > 3 * 8 * 8 * 4
    assert choices["all-cloud"].bytes == 2 * choices["all-edge"].bytes
    assert all(choice.measured_ms is not None for choice in choices.values())
    cheapest = min(choice.predicted_ms for choice in choices.values())
    assert result.package.manifest.plan.bound == pytest.approx(cheapest)
    assert result.placement.latency_ms <= cheapest * 1.25
    assert result.package.manifest.plan.value == result.placement.latency_ms
    assert set(result.alternatives) == set(choices)


@pytest.mark.parametrize(
    ("deployment", "segments"),
    [
        (site(device_speed=1e-7, bandwidth_bps=1e9), ["edge"]),
        (site(device_speed=1.0, bandwidth_bps=1e3), ["device"]),
    ],
)
def test_the_planner_goes_where_the_machines_are(deployment: Any, segments: list[str], tmp_path: Path) -> None:
    assert tiers(job(zoo.residual(), tmp_path, site=deployment)) == segments


def test_what_cannot_be_split_says_what_can_be_done(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be split.*--place auto"):
        job(single_node(), tmp_path, place="split")
    assert tiers(job(single_node(), tmp_path)) == ["device"]


def test_an_input_that_cannot_be_sent_leaves_the_choices_without_it(tmp_path: Path) -> None:
    for place in ("all-edge", "all-cloud"):
        with pytest.raises(ModelError, match=f"{place} is not possible: the model's input cannot be sent"):
            job(shared_table(), tmp_path, place=place)
    result = job(shared_table(), tmp_path, place="split", codec="none")
    assert wire_names(result)[0] in (["mixed"], ["deep"])
    assert set(result.alternatives) == {"all-device", "best-split"}


def test_what_is_printed_is_json_of_what_was_written(tmp_path: Path) -> None:
    result = job(zoo.residual(), tmp_path, codec="none", cuts=(("stem",), ("block_0",)))
    printed = json.loads(json.dumps(result.to_json()))
    assert printed["package"] == str(tmp_path / "out.split")
    assert printed["plan"]["segments"] == ["device", "edge", "cloud"]
    assert printed["plan"]["cuts"] == [["stem"], ["block_0"]]
    assert printed["plan"]["codecs"] == [["none"], ["none"]]
    assert [stage["name"] for stage in printed["plan"]["stages"]] == [
        "device",
        "device-edge",
        "edge",
        "edge-cloud",
        "cloud",
    ]
    assert sum(stage["ms"] for stage in printed["plan"]["stages"]) == pytest.approx(
        printed["plan"]["predicted_ms"]
    )
    assert printed["verification"]["level"] == "bit-equal"
    assert printed["given_up"] == []
