"""Calls on a tier's repository: what is there, what may be loaded, and what stays as it is when it may not."""

import json
import shutil
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from splitnet.config import CloudConfig, format_address, is_loopback
from splitnet.errors import OverloadedError
from splitnet.package import Package, open_package
from splitnet.protocol import (
    MODEL_METADATA,
    MODEL_READY,
    REPOSITORY_INDEX,
    REPOSITORY_MODEL_LOAD,
    REPOSITORY_MODEL_UNLOAD,
    IndexEntry,
    IndexRequest,
    InferRequest,
    Method,
    ModelChange,
    ModelName,
    encode_request,
)
from splitnet.runtime import BoundedExecutor
from splitnet.tier import Loader, PackageFolder, ServedVersion, ServingTier, Versions
from splitnet.tier.build import VersionBuilder
from tests.link.peers import Conversation, call, called, dialled, unary
from tests.programs.classifier import NAME, by_hand, draw
from tests.programs.conftest import Packages
from tests.programs.processes import ROOT, TIMEOUT_S, eventually
from tests.release.versions import damage, other_weights

CLOUD = f"{NAME}.cloud"
X, _ = draw(5, seed=11)


@dataclass(frozen=True, slots=True)
class Tier:
    """A cloud of this process, spoken to over a real socket."""

    target: str
    channel: grpc.Channel
    folder: Path

    def ask(self, method: Method[Any, Any], request: Any) -> Any:
        reply: bytes = unary(self.channel, method.path)(
            method.encode_request(request), timeout=TIMEOUT_S, wait_for_ready=True
        )
        return method.decode_response(reply)

    def refused(self, method: Method[Any, Any], request: Any) -> tuple[str, str]:
        with pytest.raises(grpc.RpcError) as caught:
            self.ask(method, request)
        return caught.value.code().name, caught.value.details() or ""

    def load(self, package: str | None = None, **parameters: Any) -> None:
        self.ask(REPOSITORY_MODEL_LOAD, change(package, **parameters))

    def versions(self, model: str = NAME) -> tuple[str, ...]:
        versions: tuple[str, ...] = self.ask(MODEL_METADATA, ModelName(model)).versions
        return versions

    def answers(self, version: str) -> tuple[str, Any]:
        """Return the version that answers where `version` is asked for, and what it answers to `X`."""
        response = call(self.channel, encode_request(InferRequest(NAME, {"x": X}, version)))
        return response.model_version, response.tensors["y"]


def change(package: str | None = None, **parameters: Any) -> ModelChange:
    return ModelChange(NAME, parameters=({"splitnet_package": package} if package else {}) | parameters)


@contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[Tier]:
    config = {"package": folder / "one.split", "listen": "127.0.0.1:0", **settings}
    tier = ServingTier("cloud", CloudConfig.model_validate(config))
    tier.start()
    try:
        with dialled(tier.address) as channel:
            yield Tier(format_address(tier.address), channel, folder)
    finally:
        tier.stop()


@pytest.fixture(scope="module")
def originals(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Versions 1 to 3, each of other weights; never changed."""
    folder = tmp_path_factory.mktemp("originals")
    shutil.copytree(packages.split, folder / "one.split")
    for version, name in ((2, "two"), (3, "three")):
        other_weights(packages.split, folder / f"{name}.split", version=version)
    return folder


@pytest.fixture
def folder(originals: Path, tmp_path: Path) -> Path:
    target = tmp_path / "packages"
    shutil.copytree(originals, target)
    return target


@pytest.fixture
def tier(folder: Path) -> Iterator[Tier]:
    with serving(folder) as tier:
        yield tier


def last_of(package: Path) -> Any:
    """What the cloud answers by itself: everything by the last segment."""
    values = by_hand(package, X)
    assert values.exits
    manifest = json.loads((package / "manifest.json").read_text())
    manifest["exits"] = []
    without = package.with_name(f"{package.stem}.plain")
    shutil.copytree(package, without, dirs_exist_ok=True)
    (without / "manifest.json").write_text(json.dumps(manifest))
    answers = by_hand(without, X).y
    shutil.rmtree(without)
    return answers


def test_each_version_answers_by_its_own_segments(tier: Tier) -> None:
    expected = {str(n): last_of(tier.folder / f"{name}.split") for n, name in ((1, "one"), (2, "two"))}
    assert np.abs(expected["1"] - expected["2"]).max() > 1e-2
    assert (tier.versions(), tier.versions(CLOUD)) == (("1",), ("1",))
    tier.load("two.split")
    assert (tier.versions(), tier.versions(CLOUD)) == (("1", "2"), ("1", "2"))
    for asked, answering in [("1", "1"), ("2", "2"), ("", "2")]:
        version, y = tier.answers(asked)
        assert version == answering
        np.testing.assert_allclose(y, expected[answering], rtol=1e-5, atol=1e-6)


def test_without_a_name_the_highest_version_is_loaded(tier: Tier) -> None:
    tier.load()
    assert tier.versions() == ("1", "3")
    tier.load()  # again: it is there
    assert tier.versions() == ("1", "3")


def test_at_most_two_are_offered_and_the_lowest_goes(tier: Tier) -> None:
    for package in ("two.split", "three.split"):
        tier.load(package)
    assert tier.versions() == ("2", "3")
    status, text = called(tier.channel, encode_request(InferRequest(NAME, {"x": X}, "1")))
    assert (status, text) == ("NOT_FOUND", f"model '{NAME}' has no version '1' here; there are ['3', '2']")
    tier.load("one.split")  # a way back
    assert tier.versions() == ("1", "3")


def test_the_index_shows_what_is_offered_and_what_lies_there(tier: Tier) -> None:
    offered = [IndexEntry(NAME, "1", "READY"), IndexEntry(CLOUD, "1", "READY")]
    beside = [
        IndexEntry(NAME, "3", "UNAVAILABLE", "three.split is not loaded"),
        IndexEntry(NAME, "2", "UNAVAILABLE", "two.split is not loaded"),
    ]
    assert tier.ask(REPOSITORY_INDEX, IndexRequest()) == (*offered, *beside)
    assert tier.ask(REPOSITORY_INDEX, IndexRequest(ready=True)) == tuple(offered)
    tier.load("two.split")
    states = [(entry.name, entry.version, entry.state) for entry in tier.ask(REPOSITORY_INDEX, IndexRequest())]
    assert states == [
        (NAME, "2", "READY"),
        (CLOUD, "2", "READY"),
        (NAME, "1", "READY"),
        (CLOUD, "1", "READY"),
        (NAME, "3", "UNAVAILABLE"),
    ]


def edit(package: Path, edit_model: Callable[[dict[str, Any]], object]) -> None:
    path = package / "manifest.json"
    manifest = json.loads(path.read_text())
    edit_model(manifest)
    path.write_text(json.dumps(manifest))


def rename_input(manifest: dict[str, Any]) -> None:
    path = json.dumps(manifest).replace('"x"', '"renamed"')
    manifest.clear()
    manifest.update(json.loads(path))


@pytest.mark.parametrize(
    ("spoil", "status", "text"),
    [
        (damage, "FAILED_PRECONDITION", "its log says why"),
        (lambda p: (p / "segments/cloud.onnx").unlink(), "FAILED_PRECONDITION", "its log says why"),
        (lambda p: (p / "manifest.json").write_text("{"), "FAILED_PRECONDITION", "its log says why"),
        (lambda p: (p / "manifest.json").unlink(), "NOT_FOUND", "the repository holds no package 'two.split'"),
        (
            lambda p: edit(p, lambda m: m["model"].update(name="other")),
            "INVALID_ARGUMENT",
            f"the package is of model 'other'; '{NAME}' is served here",
        ),
        (
            lambda p: edit(p, rename_input),
            "INVALID_ARGUMENT",
            "takes renamed float32['batch', 12], the running version 1 x float32['batch', 12]",
        ),
        (
            lambda p: edit(p, lambda m: m["model"].update(version=1)),
            "INVALID_ARGUMENT",
            "version 1 of 'classifier' runs here with other contents",
        ),
    ],
)
def test_what_cannot_take_over_leaves_the_running_version(
    tier: Tier, spoil: Callable[[Path], object], status: str, text: str
) -> None:
    spoil(tier.folder / "two.split")
    code, said = tier.refused(REPOSITORY_MODEL_LOAD, change("two.split"))
    assert code == status
    assert text in said
    assert str(tier.folder) not in said
    assert tier.versions() == ("1",)
    assert tier.answers("")[0] == "1"
    tier.load("three.split")
    assert tier.versions() == ("1", "3")


@pytest.mark.parametrize(
    "name",
    ["../secret.split", "..", ".", "", "/", "a/b", ".hidden.split", "none.split", "link.split", "x" * 300, "\0"],
)
def test_paths_do_not_leave_the_repository(tier: Tier, tmp_path: Path, name: str) -> None:
    for place in (tmp_path / "secret.split", tier.folder / ".hidden.split"):
        shutil.copytree(tier.folder / "two.split", place)
    (tier.folder / "link.split").symlink_to(tmp_path / "secret.split")
    code, said = tier.refused(REPOSITORY_MODEL_LOAD, ModelChange(NAME, parameters={"splitnet_package": name}))
    assert code == "NOT_FOUND"
    assert said.startswith("the repository holds no package")
    assert tier.versions() == ("1",)


def test_a_repository_of_its_own_and_a_link_within(folder: Path, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    (folder / "two.split").rename(repository / "next.split")
    (repository / "current.split").symlink_to("next.split")
    with serving(folder, repository=repository) as tier:
        assert tier.refused(REPOSITORY_MODEL_LOAD, change("three.split"))[0] == "NOT_FOUND"
        tier.load("current.split")
        assert tier.versions() == ("1", "2")


@pytest.mark.parametrize(
    ("asked", "status", "text"),
    [
        (ModelChange("other"), "NOT_FOUND", "model 'other' cannot be loaded or unloaded here; 'classifier' can"),
        (ModelChange(NAME, "shop"), "INVALID_ARGUMENT", "there is one repository, without a name"),
        (change(config="{}"), "INVALID_ARGUMENT", "come from the repository alone"),
        (
            ModelChange(NAME, parameters={"file:1/model.onnx": b"\xff"}),
            "INVALID_ARGUMENT",
            "come from the repository alone",
        ),
        (change(splitnet_package=3), "INVALID_ARGUMENT", "splitnet_package: expected text, got int"),
        (change("two.split", splitnet_plan="0123456789ab"), "INVALID_ARGUMENT", "copy the same package"),
    ],
)
def test_a_call_that_is_not_understood_is_told_why(tier: Tier, asked: ModelChange, status: str, text: str) -> None:
    code, said = tier.refused(REPOSITORY_MODEL_LOAD, asked)
    assert code == status
    assert text in said
    assert tier.versions() == ("1",)


def test_a_second_load_meanwhile_is_refused(folder: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()
    config = CloudConfig.model_validate({"package": folder / "one.split", "listen": "127.0.0.1:0"})
    with closing(BoundedExecutor(workers=1, limit=4, name="test")) as executor:
        builder = VersionBuilder("cloud", config, executor, None)
        versions = Versions(builder.first(open_package(config.package)))

        def slowly(package: Package) -> ServedVersion:
            begun.set()
            assert go_on.wait(TIMEOUT_S)
            return builder.successor(package)

        loader = Loader(PackageFolder(folder, NAME), versions, slowly, may_change=True)
        first = loader.load(change("two.split"))
        assert begun.wait(TIMEOUT_S)
        with pytest.raises(OverloadedError, match="another package is being loaded; try again later"):
            loader.load(change("three.split"))
        assert [each.name for each in versions.offered] == ["1"]
        go_on.set()
        first.result(TIMEOUT_S)
        dropped = weakref.ref(versions.find(NAME, "1").models[NAME].pipeline)
        loader.load(change("three.split")).result(TIMEOUT_S)
        assert [each.name for each in versions.offered] == ["3", "2"]
        eventually(lambda: dropped() is None)  # with its segments, as nobody asks it anything


def test_an_unloaded_version_is_not_found_and_the_only_one_stays(tier: Tier) -> None:
    code, said = tier.refused(REPOSITORY_MODEL_UNLOAD, change())
    assert (code, said.startswith("version 1 is the only one")) == ("INVALID_ARGUMENT", True)
    tier.load("two.split")
    assert tier.refused(REPOSITORY_MODEL_UNLOAD, change(splitnet_version=7))[0] == "NOT_FOUND"
    assert tier.refused(REPOSITORY_MODEL_UNLOAD, change(splitnet_version=True))[0] == "INVALID_ARGUMENT"
    tier.ask(REPOSITORY_MODEL_UNLOAD, change())  # the lowest
    assert (tier.versions(), tier.answers("")[0]) == (("2",), "2")
    tier.load("three.split")
    tier.ask(REPOSITORY_MODEL_UNLOAD, change(splitnet_version="3"))  # back to the one before
    assert (tier.versions(), tier.answers("")[0]) == (("2",), "2")
    assert tier.ask(MODEL_READY, ModelName(CLOUD, "3")) is False


def test_an_unloaded_version_finishes_what_it_has(folder: Path) -> None:
    expected = last_of(folder / "one.split")
    with serving(folder, emulated_speed=0.005) as tier:
        talk = Conversation(tier.channel)
        for number in range(3):
            talk.send(encode_request(InferRequest(NAME, {"x": X}, "1", id=str(number))))
        talk.send(encode_request(InferRequest("none", {"x": X}, id="refused")))
        early = []
        while (answer := talk.receive().response).id != "refused":  # then those before it are taken
            early.append(answer)
        tier.load("two.split")
        tier.ask(REPOSITORY_MODEL_UNLOAD, change())
        assert tier.versions() == ("2",)
        for answer in (*early, *(talk.receive().response for _ in range(3 - len(early)))):
            assert answer.model_version == "1"
            np.testing.assert_allclose(answer.tensors["y"], expected, rtol=1e-5, atol=1e-6)


def test_loading_is_off_unless_it_is_asked_for(folder: Path) -> None:
    with serving(folder, allow_load=False) as tier:
        for method in (REPOSITORY_MODEL_LOAD, REPOSITORY_MODEL_UNLOAD):
            code, said = tier.refused(method, change("two.split"))
            assert code == "PERMISSION_DENIED"
            assert "set allow_load = true" in said
        assert tier.versions() == ("1",)
        assert len(tier.ask(REPOSITORY_INDEX, IndexRequest())) == 4


@pytest.mark.parametrize(
    ("listen", "allow_load", "may"),
    [
        ("127.0.0.1:1", None, True),
        ("[::1]:1", None, True),
        ("localhost:1", None, True),
        ("0.0.0.0:1", None, False),
        ("[::]:1", None, False),
        ("cloud.example:1", None, False),
        ("0.0.0.0:1", True, True),
        ("127.0.0.1:1", False, False),
    ],
)
def test_only_this_machine_may_load_by_default(listen: str, allow_load: bool | None, may: bool) -> None:  # noqa: FBT001  # pytest passes it by name
    config = CloudConfig.model_validate({"package": "p", "listen": listen, "allow_load": allow_load})
    assert config.may_load is may


def test_a_name_that_only_looks_like_this_machine_is_not() -> None:
    assert not is_loopback("localhost.example")
    assert not is_loopback("127.0.0.1.example")


def test_tritons_client_loads_and_unloads(folder: Path) -> None:
    with serving(folder) as served:
        script = Path(__file__).with_name("triton_repository.py")
        done = subprocess.run(
            [sys.executable, str(script), served.target, NAME],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=3 * TIMEOUT_S,
        )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["before"] == [
        [NAME, "1", "READY"],
        [CLOUD, "1", "READY"],
        [NAME, "3", "UNAVAILABLE"],
        [NAME, "2", "UNAVAILABLE"],
    ]
    assert seen["loaded"] == [True, True, False]
    assert seen["unloaded"] == [True, False]
    assert "[StatusCode.NOT_FOUND] model 'other' cannot be loaded" in seen["other"]
    assert "the only one that is loaded" in seen["last"]
