"""Three programs, one service: what the device prints and writes is what the whole model answers."""

from contextlib import ExitStack
from pathlib import Path

import grpc
import numpy as np
import pytest

from splitnet.protocol import InferRequest, encode_request
from splitnet.tiers import TIERS
from tests.link.peers import call, dialled
from tests.programs.classifier import NAME, by_hand
from tests.programs.conftest import Packages, Samples, Service
from tests.programs.processes import Finished, run, running


@pytest.fixture(scope="module")
def data(samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "samples.npz"
    np.savez(path, x=samples.x, labels=samples.labels)
    return path


def device(package: Path, upstream: str, data: Path, *options: str) -> Finished:
    return run(
        "device",
        *("--package", str(package), "--upstream", upstream, "--input", str(data)),
        *("--deadline-ms", "20000", "--json"),
        *options,
    )


def test_the_device_reports_and_writes_what_the_whole_model_answers(
    service: Service, packages: Packages, samples: Samples, data: Path, tmp_path: Path
) -> None:
    output = tmp_path / "answers.npz"
    done = device(packages.split, service.edge.target, data, "--output", str(output))
    assert (done.code, done.err) == (0, "")
    report = done.json
    assert [report[key] for key in ("answers", "errors", "fallbacks")] == [200, 0, 0]
    assert report["exits"] == {tier: samples.exits.count(tier) for tier in TIERS}
    assert report["accuracy"] == pytest.approx(np.mean(samples.y.argmax(axis=1) == samples.labels))
    latency = report["latency_ms"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"]
    assert report["samples_per_s"] == pytest.approx(200 / report["seconds"])
    with np.load(output) as answers:
        assert sorted(answers.files) == ["exits", "fallbacks", "y"]
        assert tuple(answers["exits"]) == samples.exits
        assert set(answers["fallbacks"]) == {""}
        np.testing.assert_allclose(answers["y"], samples.y, rtol=1e-5, atol=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == ["answers.npz"]


def test_a_person_reads_the_same_figures(
    service: Service, packages: Packages, samples: Samples, data: Path
) -> None:
    done = run(
        *("device", "--package", str(packages.split), "--upstream", service.edge.target),
        *("--input", str(data), "--samples", "50", "--deadline-ms", "20000"),
    )
    assert (done.code, done.err) == (0, "")
    rows = dict(line.split("  ", 1) for line in done.out.splitlines())
    expected = "  ".join(f"{tier} {samples.exits[:50].count(tier)}" for tier in TIERS)
    assert rows["answers"].strip() == "50"
    assert rows["answered at"].strip() == expected
    right = np.mean(samples.y[:50].argmax(axis=1) == samples.labels[:50])
    assert rows["accuracy"].strip() == f"{right:.2%}"


def test_without_labels_nothing_is_said_of_accuracy(
    service: Service, packages: Packages, samples: Samples, tmp_path: Path
) -> None:
    np.savez(tmp_path / "samples.npz", x=samples.x[:5])
    report = device(packages.split, service.edge.target, tmp_path / "samples.npz").json
    assert report["answers"] == 5
    assert "accuracy" not in report


@pytest.mark.parametrize("name", ["u8", "all_cloud", "all_device"])
def test_every_placement_answers_what_its_files_do(
    name: str, packages: Packages, samples: Samples, data: Path, tmp_path: Path
) -> None:
    package, output = getattr(packages, name), tmp_path / "answers.npz"
    expected = by_hand(package, samples.x)
    with ExitStack() as stack:
        upstream = "127.0.0.1:9"
        if name != "all_device":
            cloud = stack.enter_context(running("cloud", package=package))
            edge = stack.enter_context(running("edge", package=package, upstream=cloud.address))
            upstream = edge.target
        done = device(package, upstream, data, "--output", str(output))
    assert (done.code, done.err) == (0, "")
    assert [done.json[key] for key in ("answers", "errors", "fallbacks")] == [200, 0, 0]
    with np.load(output) as answers:
        assert tuple(answers["exits"]) == expected.exits
        np.testing.assert_allclose(answers["y"], expected.y, rtol=1e-5, atol=1e-6)


def test_settings_come_from_files_and_options_win(
    packages: Packages, samples: Samples, data: Path, service: Service, tmp_path: Path
) -> None:
    files = {}
    for name, lines in {
        "cloud": [f'package = "{packages.split}"', f'listen = "{service.cloud.target}"', "max_batch = 3"],
        "edge": [
            f'package = "{packages.split}"',
            'listen = "127.0.0.1:0"',
            'upstream = "127.0.0.1:9"',
            "workers = 2",
        ],
        "device": [
            f'package = "{tmp_path}/none"',
            'upstream = "127.0.0.1:9"',
            "deadline_ms = 20000.0",
            "in_flight = 2",
        ],
    }.items():
        files[name] = tmp_path / f"{name}.toml"
        files[name].write_text("\n".join(lines))
    with (
        # Its file's address is in use.
        running("cloud", options=["--config", str(files["cloud"])]) as cloud,
        running("edge", listen=None, upstream=cloud.address, options=["--config", str(files["edge"])]) as edge,
    ):
        done = run(
            *("device", "--config", str(files["device"]), "--package", str(packages.split)),
            *("--upstream", edge.target, "--input", str(data), "--json"),
        )
        assert (done.code, done.err) == (0, "")
        assert done.json["exits"] == {tier: samples.exits.count(tier) for tier in TIERS}
        assert done.json["fallbacks"] == 0
        with (
            dialled(cloud.address) as channel,
            pytest.raises(grpc.RpcError, match="4 samples in one request; at most 3"),
        ):
            call(channel, encode_request(InferRequest(NAME, {"x": samples.x[:4]})))


def test_samples_that_nobody_can_answer_are_errors(packages: Packages, data: Path, tmp_path: Path) -> None:
    output = tmp_path / "answers.npz"
    done = device(packages.all_cloud, "127.0.0.1:9", data, "--samples", "3", "--output", str(output))
    assert done.code == 4
    assert [done.json[key] for key in ("answers", "errors", "latency_ms")] == [0, 3, None]
    # Once for the link, once for the samples: two threads say so, in either order.
    of_link, of_samples = sorted(done.err.splitlines(), key=lambda line: "link to" not in line)
    assert "link to 127.0.0.1:9: cannot be reached" in of_link
    assert "the tier above cannot be reached" in of_samples
    with np.load(output) as answers:
        assert answers["exits"].tolist() == ["", "", ""]
        assert answers["y"].shape == (3, 4)
