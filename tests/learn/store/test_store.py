"""The store: what goes in comes out, it stays below its limit, and keeps what its policy says."""

import stat
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitnet.errors import ConfigError, NotFoundError, OperatorError
from splitnet.learn.store import NO_LABEL, Limits, Sample, SampleKeeper, SampleStore, Signature
from splitnet.tensors import TensorSpec
from tests.learn.store.samples import CLASSES, SMALL, keeper, sample, signature, teacher, values

LIMIT = 2**20
#: One that fills many pages, one that nearly fills one, and one of which a page holds many.
KINDS = {"large": signature(5, 1000), "page": signature(950), "small": SMALL}


def ids_of(path: Path) -> list[int]:
    with SampleStore(path) as store:
        return store.pick()


def test_samples_come_back_as_arrays(tmp_path: Path) -> None:
    path = tmp_path / "s"
    given_samples = [sample(3), sample(1, label=2), sample(2, teacher=None, label=0, tier="device")]
    with keeper(path) as store:
        assert store.add(given_samples) == 3
    with SampleStore(path) as store:
        got = store.samples()
    assert got.ids.tolist() == [1, 2, 3]
    assert got.labels.tolist() == [2, 0, NO_LABEL]
    for row, sample_id in enumerate((1, 2, 3)):
        assert np.array_equal(got.inputs["x"][row], values(sample_id)["x"][0])
        assert np.array_equal(got.inputs["flags"][:, [row]], values(sample_id)["flags"])
    assert np.isnan(got.teachers[1]).all()
    assert np.array_equal(got.teachers[[0, 2]], np.stack([teacher(1), teacher(3)]))


@given(
    dtype=st.sampled_from(["bool", "int64", "float16", "float32"]),
    shape=st.lists(st.integers(1, 4), max_size=3),
    axis=st.integers(0, 3),
    count=st.integers(0, 5),
)
def test_packing_is_undone_by_unpacking(dtype: str, shape: list[int], axis: int, count: int) -> None:
    extents: list[int | str] = [*shape]
    extents.insert(min(axis, len(shape)), "batch")
    kind = Signature("m", (TensorSpec("a", dtype, tuple(extents)), TensorSpec("b", "int8", ("batch",))), 2)
    full = [size if isinstance(size, int) else count for size in extents]
    rng = np.random.default_rng(0)
    tensors = {
        "a": rng.integers(0, 99, full).astype(dtype),
        "b": rng.integers(0, 99, count).astype(np.int8),
    }
    back = kind.unpack([kind.pack(tensors, index) for index in range(count)])
    for name, array in tensors.items():
        assert back[name].dtype == array.dtype
        assert np.array_equal(back[name], array)


def test_a_signature_survives_its_json() -> None:
    assert Signature.from_json(SMALL.to_json()) == SMALL
    assert signature(5).to_json() != SMALL.to_json()


def test_a_model_without_a_batch_axis_has_no_single_samples() -> None:
    with pytest.raises(ConfigError, match=r"input 'x'.*no axis 'batch'.*open batch axis"):
        Signature("m", (TensorSpec("x", "float32", (1, 3)),), 2)


@pytest.mark.parametrize("policy", ["fifo", "reservoir"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_it_never_grows_past_its_limit(kind: Signature, policy: str, tmp_path: Path) -> None:
    path = tmp_path / "s"
    row_bytes = kind.sample_nbytes + 4 * CLASSES + 40  # of id, time and tier, in table and index
    count = int(1.4 * LIMIT / row_bytes)
    with keeper(path, kind, policy=policy) as store:
        for start in range(0, count, 50):
            store.add([sample(number, kind) for number in range(start, min(start + 50, count))])
            assert path.stat().st_size <= LIMIT
            log = path.with_name("s-wal")
            assert log.stat().st_size <= 2**20 + 2**20
        held = store.status()
    assert path.stat().st_size <= LIMIT
    # A B-tree that is filled in any order, as a reservoir's is, has pages about two thirds full.
    assert held.samples * row_bytes >= (0.8 if policy == "fifo" else 0.55) * LIMIT


def test_fifo_keeps_the_newest(tmp_path: Path) -> None:
    kind = KINDS["large"]
    with keeper(tmp_path / "s", kind) as store:
        for number in range(150):
            store.add([sample(number, kind)])
        kept = store.pick()
    assert kept == list(range(150 - len(kept), 150))
    assert 40 <= len(kept) <= 52


def test_fifo_counts_arrivals_not_ids(tmp_path: Path) -> None:
    """A label may come for a sample of long ago: then that is new."""
    kind = KINDS["large"]
    with keeper(tmp_path / "s", kind) as store:
        store.add([sample(number, kind) for number in range(1000, 1100)])
        store.add([sample(5, kind, label=1)])
        store.add([sample(1100, kind)])
        assert store.pick()[0] == 5


@given(seed=st.integers(0, 2**31), breaks=st.sets(st.integers(1, 119)))
@settings(max_examples=8)
def test_a_restart_changes_nothing_of_a_reservoir(
    seed: int, breaks: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    kind, folder = KINDS["large"], tmp_path_factory.mktemp("reservoir")
    whole, broken = folder / "whole", folder / "broken"
    with keeper(whole, kind, policy="reservoir", seed=seed) as store:
        for number in range(120):
            store.add([sample(number, kind)])
    edges = [0, *sorted(breaks), 120]
    for start, stop in pairwise(edges):
        # The seed of the first opening stays.
        with keeper(broken, kind, policy="reservoir", seed=seed if start == 0 else 1) as store:
            for number in range(start, stop):
                store.add([sample(number, kind)])
    assert ids_of(whole) == ids_of(broken)


def test_a_reservoir_is_a_uniform_draw(tmp_path: Path) -> None:
    """Chi-squared over ten parts of the stream: below 27.9 with probability 0.999 at 9 degrees of freedom."""
    kind, parts, length = signature(20_000), 10, 60
    hits = np.zeros(parts)
    for seed in range(40):
        path = tmp_path / f"{seed}"
        with keeper(path, kind, policy="reservoir", seed=seed) as store:
            row = sample(0, kind)
            store.add([Sample(n, row.inputs, row.teacher, "edge", None, 0.0) for n in range(length)])
            for number in store.pick():
                hits[number * parts // length] += 1
    expected = hits.sum() / parts
    share = expected / (40 * length / parts)
    assert 0.1 < share < 0.4
    assert ((hits - expected) ** 2 / expected).sum() / (1 - share) < 27.9


@pytest.mark.parametrize("policy", ["fifo", "reservoir"])
def test_labels(policy: str, tmp_path: Path) -> None:
    with keeper(tmp_path / "s", policy=policy) as store:
        store.add([sample(1), sample(2)])
        assert store.label(2, 1)
        assert store.label(2, 2)
        assert not store.label(3, 0)
        assert store.samples().labels.tolist() == [NO_LABEL, 2]
        assert (store.status().samples, store.status().labelled) == (2, 1)


def test_a_reservoir_holds_on_to_labels(tmp_path: Path) -> None:
    kind = KINDS["large"]
    with keeper(tmp_path / "s", kind, policy="reservoir") as store:
        store.add([sample(number, kind) for number in range(10)])
        for number in range(5):
            assert store.label(number, 0)
        for number in range(10, 300):
            store.add([sample(number, kind)])
        assert store.pick()[:5] == [0, 1, 2, 3, 4]


def test_a_smaller_limit_shrinks_the_file(tmp_path: Path) -> None:
    path, kind = tmp_path / "s", KINDS["large"]
    with keeper(path, kind, limit_bytes=2 * LIMIT) as store:
        store.add([sample(number, kind) for number in range(100)])
    assert path.stat().st_size > 1.5 * LIMIT
    with keeper(path, kind) as store:
        kept = store.pick()
    assert kept == list(range(100 - len(kept), 100))
    assert len(kept) > 40
    assert path.stat().st_size <= LIMIT


def test_picking_is_seeded_and_even(tmp_path: Path) -> None:
    with keeper(tmp_path / "s") as store:
        store.add([sample(number) for number in range(100)])
        first = store.pick(10, seed=1)
        assert first == store.pick(10, seed=1) == sorted(first)
        assert len(set(first)) == 10
        assert first != store.pick(10, seed=2)
        assert store.pick(1000) == list(range(100))
        assert store.samples(10, seed=1).ids.tolist() == first


def test_what_has_gone_is_left_out(tmp_path: Path) -> None:
    with keeper(tmp_path / "s") as store:
        store.add([sample(number) for number in range(100)])
        assert store.read([*range(90, 110)]).ids.tolist() == list(range(90, 100))
        assert store.read([]).inputs["x"].shape == (0, 4)


def test_purge(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with keeper(path, policy="reservoir") as store, SampleStore(path) as other:
        secret = sample(1).inputs
        store.add([sample(number) for number in range(2000)])
        assert other.purge() == 2000
        assert not any(secret in file.read_bytes() for file in tmp_path.iterdir())
        assert path.stat().st_size < 2**15
        store.add([sample(5000)])
        assert store.pick() == other.pick() == [5000]


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    with keeper(tmp_path / "s") as store:
        store.add([sample(1)])
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert modes == {"s": 0o600, "s-wal": 0o600, "s-shm": 0o600}


def test_ids_are_never_given_twice(tmp_path: Path) -> None:
    firsts = []
    for _ in range(3):
        with keeper(tmp_path / "s") as store:
            firsts.append(store.reserve_ids())
            store.purge()
    assert firsts == [1, 1 + 10**12, 1 + 2 * 10**12]


def test_another_models_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with keeper(path) as store:
        store.add([sample(1)])
    for other in (signature(5), signature(4, model="n"), signature(4, classes=4)):
        with pytest.raises(ConfigError, match=r"holds samples of model 'm'.*, not of .*`splitnet samples purge"):
            keeper(path, other)
    with pytest.raises(ConfigError, match="keeps samples by store_policy 'fifo', not 'reservoir'"):
        keeper(path, policy="reservoir")
    with keeper(path) as store:
        assert store.pick() == [1]


def test_an_empty_store_may_change_hands(tmp_path: Path) -> None:
    path, other = tmp_path / "s", signature(5, model="n")
    with keeper(path) as before:
        before.add([sample(1)])
        before.purge()
        with keeper(path, other, policy="reservoir") as after:
            after.add([sample(1, other)])
            with pytest.raises(ConfigError, match="is another model's store now"):
                before.add([sample(2)])
            assert after.samples().ids.tolist() == [1]


def test_a_limit_below_one_sample_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"store_limit_bytes 1048576: one sample needs \d+; allow more"):
        SampleKeeper(tmp_path / "s", signature(2**19), Limits(LIMIT))


def test_there_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no sample store"):
        SampleStore(tmp_path / "s")
    with pytest.raises(OperatorError, match="unable to open database file"):
        keeper(tmp_path / "none" / "s")
    with pytest.raises(OperatorError, match="unable to open database file"):
        keeper(tmp_path)
