"""The words say what the data say, whichever way they go."""

from dataclasses import replace
from typing import Literal

import pytest

from splitnet.report import BandwidthCurve, Choice, Report, Takeover
from splitnet.report.words import words
from splitnet.tiers import Tier
from tests.report import demo


def choice(name: str, latency_ms: float, **more: object) -> Choice:
    alone: dict[str, tuple[Tier, ...]] = {"all-device": ("device",), "all-cloud": ("cloud",)}
    tiers = alone.get(name, ("device", "cloud"))
    kind: Literal["split", "unsplit"] = "unsplit" if len(tiers) == 1 else "split"
    stages = (("device", 0.25 * latency_ms), ("device-edge", 0.75 * latency_ms))
    plain = Choice(name, kind, tiers, latency_ms, None, 1000.0, None, None, stages, note="")
    return replace(plain, **more)  # type: ignore[arg-type]  # fields by name, as each test needs


def report(chosen: Choice, *others: Choice, **more: object) -> Report:
    base = demo.small_split()
    plain = replace(
        base, chosen=replace(chosen, kind="chosen"), alternatives=others, curves=(), takeovers=(), given_up=()
    )
    return replace(plain, **more)  # type: ignore[arg-type]  # fields by name, as each test needs


def text(given: Report) -> str:
    return "\n".join(words(given)).replace("\u00a0", " ")


def test_a_split_is_compared_with_the_best_unsplit_choice() -> None:
    said = text(report(choice("cut", 20), choice("all-device", 50), choice("all-cloud", 30)))
    assert said.startswith(
        "Split over device and cloud: 20 ms a sample, 1.5 times as fast as the best unsplit choice, all-cloud."
    )
    assert "all-device 50 ms (2.5 times the plan's), all-cloud 30 ms (1.5 times the plan's)" in said
    assert "would be better" not in said


def test_not_splitting_is_said_first() -> None:
    said = text(report(choice("all-device", 20), choice("cut", 21), choice("all-cloud", 90)))
    assert said.startswith(
        "Do not split: run it all on the device: 20 ms a sample, 4.8 % less time than the best split"
    )


def test_the_cloud_is_a_place() -> None:
    assert text(report(choice("all-cloud", 20))).startswith(
        "Do not split: run it all in the cloud: 20 ms a sample."
    )


def test_equal_choices_are_called_equal() -> None:
    assert "as good as the best unsplit choice" in text(report(choice("cut", 20), choice("all-cloud", 20.01)))


@pytest.mark.parametrize(("note", "reason"), [("", ""), ("the cloud was closed", ": the cloud was closed")])
def test_a_better_choice_that_was_not_taken_is_named(note: str, reason: str) -> None:
    whole = text(report(choice("cut", 20), choice("all-cloud", 10, note=note)))
    assert f"all-cloud would be better but was not chosen{reason}." in whole
    assert "2 times as long as the best unsplit choice" in whole


def test_the_largest_stage_is_named_and_a_link_explained() -> None:
    base = demo.small_split()
    said = text(report(choice("cut", 20)))
    assert "15 ms or 75 %, is spent on the device-edge link: 10 ms of it delay there and back" in said
    assert f"at {base.links[0].bandwidth_bps / 1e6:.0f} Mbit/s" in said
    computing = choice("cut", 20, stages=(("device exit", 15.0), ("cloud", 5.0)))
    assert "15 ms or 75 %, is spent computing on the device, for its exit." in text(report(computing))


def curves(*names: str) -> tuple[BandwidthCurve, ...]:
    return tuple(BandwidthCurve(name, (1e6, 1e9), (10.0 + index, 9.0)) for index, name in enumerate(names))


def test_the_neighbouring_takeovers_are_named() -> None:
    found = (Takeover(2e6, "cut"), Takeover(50e6, "all-cloud"), Takeover(500e6, "far"))
    said = text(report(choice("cut", 20), curves=curves("all-device", "cut", "all-cloud", "far"), takeovers=found))
    assert (
        "below 2 Mbit/s all-device would be the fastest, from 50 Mbit/s up all-cloud would be the fastest" in said
    )
    assert "far" not in said


def test_without_a_takeover_nothing_changes() -> None:
    assert "from 1 Mbit/s to 1 Gbit/s the same plan stays" in text(report(choice("cut", 20), curves=curves("cut")))


def test_bandwidths_that_were_not_compared_are_not_spoken_of() -> None:
    narrow = (BandwidthCurve("cut", (1e3, 1e4), (2.0, 1.0)),)
    assert "outside the 1 kbit/s to 10 kbit/s" in text(report(choice("cut", 20), curves=narrow))


@pytest.mark.parametrize(
    ("gap", "said"), [(0.0, "no plan is better (proved by milp)"), (0.02, "no plan is more than 2 % better")]
)
def test_the_proof_says_how_much_it_proves(gap: float, said: str) -> None:
    assert said in text(report(choice("cut", 20), gap=gap, method="milp"))


def test_measurement_accuracy_and_what_was_given_up() -> None:
    said = text(report(choice("cut", 20, measured_ms=18.0, accuracy=0.953), given_up=("u4: too coarse",)))
    assert "took 18 ms, 10 % below the 20 ms predicted" in said
    assert "Accuracy: 95.3 %." in said
    assert "Given up: u4: too coarse." in said


@pytest.mark.parametrize(
    ("objective", "own", "other", "said"),
    [
        ("bytes", {"bytes": 1000.0}, {"bytes": 4000.0}, "1 kB sent a sample, 4 times less data than"),
        (
            "energy",
            {"energy_mj": 9.0},
            {"energy_mj": 10.0},
            "9 mJ of the device's energy a sample, 10 % less energy",
        ),
        ("throughput", {"value": 20.0}, {"value": 22.0}, "50 samples a second, 10 % more samples than"),
        ("throughput", {"value": 20.0}, {"value": 5.0}, "50 samples a second, 4 times fewer samples than"),
        ("bytes", {"bytes": 1000.0}, {"bytes": 0.0}, "1 kB sent a sample, worse than"),
    ],
)
def test_every_objective_has_its_words(
    objective: str, own: dict[str, float], other: dict[str, float], said: str
) -> None:
    made = report(choice("cut", 20, **own), choice("all-device", 30, **other), objective=objective)
    assert said in text(made)


def test_an_unknown_value_is_not_made_up() -> None:
    said = text(report(choice("cut", 20), choice("all-device", 30), objective="throughput"))
    assert said.startswith("Split over device and cloud.\n")
    assert "Not splitting" not in said


def test_own_words_are_kept() -> None:
    assert words(report(choice("cut", 20), words=("Mine.", "All mine."))) == ("Mine.", "All mine.")
