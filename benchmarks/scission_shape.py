"""How often a true split wins on CNN-like chains, by what activations are sent as; and that the solver is exact.

The shape, seeded: 18 models x 2 edges x 2 clouds x 2 networks, as in published sets of layer timings. A model is a
chain of 20 to 200 blocks in five stages. Its input is 224 x 224 x 3, 602 KB as float32. Activations start at 0.8
to 3.2 MB (64 channels of 112 x 112 are 3.2 MB) and halve from stage to stage, as channels double while each side
halves; the answer has 4 KB. The device takes 0.1 to 2 s for a model, spread over its blocks log-normally; how much
edge and cloud speed a block up varies by a third. Quantisers take 2 ms a MB of float32 on the device, to encode or
to decode, and less on faster tiers.

The input is sent as a compressed image at no cost, in all choices: once as a photograph of 172 KB, 1/3.5 of the
float32, once as a JPEG of the 224 x 224 pixels, 1/24. Nothing that is gained here counts accuracy.

The published timings themselves are not at hand. Speeds, networks and the larger image were chosen to resemble
their setting, after faster machines with the smaller image had given almost no splits at all (0, 0, 0 and 2 of
144): the shares show how much hangs on these choices, and are no replication.
"""

import argparse
import json
import statistics
import sys
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from splitnet.plan import CodecCost, CostTable, Link, Node, Placement, Tensor, solve, solve_chain, unsplit

SEED = 0
MODELS = 18
INPUT_BYTES = 224 * 224 * 3 * 4
#: How much smaller than float32 the image is: a photograph as it was taken, and scaled down.
IMAGE_RATIOS = (3.5, 24)
ANSWER_BYTES = 4000.0
STAGES = 5
QUANTISER_MS_PER_MB = 2.0
#: Times faster than the device.
EDGES = (3.0, 8.0)
CLOUDS = (12.0, 40.0)
#: (bits a second, round trip in ms) from device to edge and from edge to cloud.
NETWORKS = (((5e6, 50.0), (2e7, 20.0)), ((5e7, 5.0), (2e7, 20.0)))
#: What activations are sent as, and how much smaller than float32 that is.
CODECS = {"f32": 1, "u8": 4, "u4": 8, "1/32": 32}


@dataclass(frozen=True, slots=True)
class Result:
    """One configuration with one codec.

    Attributes:
        is_split: whether at least two tiers compute something.
        speedup: latency of the best unsplit choice over that of the optimum.
    """

    is_split: bool
    speedup: float


def main() -> None:
    """Solve all configurations with every codec and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    chains = [chain(np.random.default_rng((SEED, number))) for number in range(MODELS)]
    setups = [Setup(*one) for one in product(chains, EDGES, CLOUDS, NETWORKS)]
    figures = [
        {"image_ratio": ratio, "codec": codec, **summary([run(setup, ratio, codec) for setup in setups])}
        for ratio, codec in product(IMAGE_RATIOS, CODECS)
    ]
    if options.json:
        sys.stdout.write(json.dumps({"configurations": len(setups), "figures": figures}) + "\n")
        return
    rows = Table("image", "activations", "splits", "most", "median", title=f"{len(setups)} configurations")
    for figure in figures:
        gains = [f"{figure[key]:.2f} times" for key in ("most", "median")]
        rows.add_row(f"1/{figure['image_ratio']}", str(figure["codec"]), str(figure["splits"]), *gains)
    console = Console()
    console.print(rows)
    console.print("splits: where a true split is fastest, and how much faster than the best unsplit choice.")
    console.print("Every optimum equals that of enumeration, along the chain and by min-cut.")


def summary(results: list[Result]) -> dict[str, float]:
    """How many are split, and how much that gains."""
    gains = [result.speedup for result in results if result.is_split]
    return {
        "splits": len(gains),
        "most": max(gains, default=1.0),
        "median": statistics.median(gains) if gains else 1.0,
    }


@dataclass(frozen=True, slots=True)
class Chain:
    """A model of K blocks.

    Attributes:
        device_ms: `[K]`.
        faster: `[K, 2]`, how much more, or less, than the tier's own factor edge and cloud speed up each block.
        nbytes: `[K - 1]`, of the activations between blocks, as float32.
    """

    device_ms: NDArray[np.float64]
    faster: NDArray[np.float64]
    nbytes: NDArray[np.float64]


def chain(rng: np.random.Generator) -> Chain:
    """Draw a model."""
    count = int(rng.integers(20, 201))
    weights = rng.lognormal(0.0, 0.7, count)
    total_ms = 10 ** rng.uniform(2.0, 3.3)
    stage = np.arange(count - 1) * STAGES // (count - 1)
    largest = rng.uniform(0.8e6, 3.2e6)
    nbytes = largest * 0.5**stage * rng.uniform(0.5, 1.5, count - 1)
    return Chain(total_ms * weights / weights.sum(), rng.uniform(0.67, 1.33, (count, 2)), nbytes)


@dataclass(frozen=True, slots=True)
class Setup:
    """A model on given machines: how many times faster edge and cloud are, and the two links."""

    model: Chain
    edge: float
    cloud: float
    network: tuple[tuple[float, float], tuple[float, float]]


def run(setup: Setup, image_ratio: float, codec: str) -> Result:
    """Solve one configuration.

    Raises:
        AssertionError: a solver is not as good as enumeration, or better.
    """
    table = table_of(setup, image_ratio, codec)
    expected = enumerated(table)
    best = solve_chain(table, [node.id for node in table.nodes])
    for value in (best.value, solve(table).placement.value):
        if not np.isclose(value, expected, rtol=1e-9, atol=0.0):
            raise AssertionError(f"the solver found {value} ms, enumeration {expected} ms")
    whole = min(one.value for one in unsplit(table).values())
    return Result(_is_split(best), whole / best.value)


def _is_split(placement: Placement) -> bool:
    return len(set(placement.tier_of.values())) > 1


def table_of(setup: Setup, image_ratio: float, codec: str) -> CostTable:
    """Return the table of a model whose activations are sent with one codec."""
    model, speeds = setup.model, (1.0, setup.edge, setup.cloud)
    factors = np.column_stack((np.ones(len(model.device_ms)), model.faster)) * speeds
    cost_ms = model.device_ms[:, None] / factors
    nodes = tuple(Node(f"b{index}", (row[0], row[1], row[2])) for index, row in enumerate(cost_ms.tolist()))
    image = CodecCost("jpeg", INPUT_BYTES / image_ratio)
    tensors = [Tensor("image", None, ("b0",), INPUT_BYTES, (image,))]
    for index, nbytes in enumerate(model.nbytes.tolist()):
        ms = 0.0 if codec == "f32" else QUANTISER_MS_PER_MB * nbytes / 1e6
        spent = (ms / speeds[0], ms / speeds[1], ms / speeds[2])
        way = CodecCost(codec, nbytes / CODECS[codec], spent, spent)
        tensors.append(Tensor(f"t{index}", f"b{index}", (f"b{index + 1}",), nbytes, (way,)))
    tensors.append(Tensor("answer", nodes[-1].id, (), ANSWER_BYTES))
    below, above = (Link(bandwidth_bps, rtt_ms) for bandwidth_bps, rtt_ms in setup.network)
    return CostTable(("device", "edge", "cloud"), nodes, tuple(tensors), (below, above), "latency")


def enumerated(table: CostTable) -> float:
    """Return the least latency over all pairs of cuts, with one codec a tensor, by prefix sums."""
    cost_ms = np.array([node.cost_ms for node in table.nodes], np.float64)
    before = np.vstack((np.zeros(3), np.cumsum(cost_ms, axis=0)))
    ways = [tensor.ways[0] for tensor in table.tensors[:-1]]
    encode, decode = (np.array([getattr(way, f"{what}_ms") for way in ways]) for what in ("encode", "decode"))
    nbytes = np.array([way.bytes for way in ways]) + ANSWER_BYTES
    hop = [nbytes * 8000 / link.bandwidth_bps + link.rtt_ms for link in table.links]
    first = np.append(hop[0] + encode[:, 0] + decode[:, 1], 0.0)
    second = np.append(hop[1] + encode[:, 1] + decode[:, 2], 0.0)
    below, above = before[:, 0] - before[:, 1] + first, before[:, 1] - before[:, 2] + before[-1, 2] + second
    both = np.triu(below[:, None] + above[None, :])
    both[np.tril_indices(len(both), -1)] = np.inf
    relayed = before[:-1, 0] + before[-1, 2] - before[:-1, 2] + hop[0] + hop[1] + encode[:, 0] + decode[:, 2]
    return float(min(both.min(), relayed.min()))


if __name__ == "__main__":
    main()
