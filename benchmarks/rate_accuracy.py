"""Bytes against accuracy on the example's tiles: all ways to send three cuts, beside images and bits of the input.

Bytes are of the request that a device sends for one tile: the message that `splitnet.protocol` writes, names and
parameters included, and 14 bytes for gRPC's prefix and HTTP/2's frame. No exits: every tile crosses.
"""

import argparse
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.harness import DEADLINE_MS, SEED, load_segments, run_segments
from splitnet.coding import encode
from splitnet.cost import default_site
from splitnet.deadline import Deadline
from splitnet.graph import cut_at
from splitnet.onnx_session import OnnxSession
from splitnet.package import Package
from splitnet.partition import PartitionOptions, PartitionResult, partition
from splitnet.partition.bandwidths import PlanFrom
from splitnet.partition.pack import pack
from splitnet.partition.prices import price
from splitnet.partition.search import Materials, Search
from splitnet.partition.table import make_costs
from splitnet.partition.trainer import Trainer
from splitnet.plan import Solution, evaluate
from splitnet.protocol import InferRequest, Parameter, encode_request, to_datatype
from splitnet.runtime import Segment
from splitnet.samples import Samples, read_samples
from splitnet.tensors import Array, Tensors, take_samples
from splitnet.tier.coding import CODING, DATATYPE, SHAPE, code
from splitnet.tier.parameters import request_parameters

_EXAMPLE = Path(__file__).parents[1] / "examples" / "pcb_inspection"
_MODEL = _EXAMPLE / "model.onnx"
_TILES = _EXAMPLE / "tiles" / "test.npz"
#: Cuts by hand, beside the one that the planner takes.
_CUTS = ("boundary1", "boundary2")

# gRPC puts 5 bytes before a message, HTTP/2 9 before a frame (RFC 9113, section 4.1).
_FRAME_BYTES = 14
_BATCH = 256
_QUALITIES = (10, 30, 50, 75, 90)
# Nothing is refused: what a codec costs is what is to be seen.
_ANY_DROP = 1.0

#: Runs a batch and returns the model's outputs.
_Run = Callable[[Tensors], Tensors]


@dataclass(frozen=True, slots=True)
class _Row:
    """One way to send a tile.

    Attributes:
        what: the cut, or "input".
        sent: how it is sent.
        tensor_bytes: of a tile's tensors as sent, mean.
        request_bytes: of the whole request, mean.
        accuracy: share of tiles that are named rightly.
    """

    what: str
    sent: str
    tensor_bytes: float
    request_bytes: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class _Options:
    """The command line."""

    tiles: int | None
    json_output: bool


def main() -> None:
    """Make every plan, count and run all tiles, and print."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        base = _partition_options(Path(folder))
        result = partition(base)
        tiles = read_samples(_TILES, result.search.analysis.inputs, limit=options.tiles)
        rows = list(_input_rows(tiles, result.package))
        plans = list(_plans(result, replace(base, max_accuracy_drop=_ANY_DROP)))
        # What is coded without loss answers as it would plain.
        known: dict[tuple[str, str], float] = {}
        for what, sent, package in track(plans, "measure", console=Console(stderr=True), transient=True):
            key = what, sent.partition("+")[0]
            if key not in known:
                segments = load_segments(package)
                known[key] = _accuracy(partial(run_segments, segments), tiles, package)
            rows.append(_Row(what, sent, *_wire_bytes(package, tiles), known[key]))
    rows.sort(key=lambda row: row.request_bytes)
    _show(rows, tiles.count, json_output=options.json_output)


def _options() -> _Options:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, metavar="N", help="use the first N test tiles, at least 1; else all")
    parser.add_argument("--json", action="store_true", dest="json_output", help="print one JSON object")
    values = parser.parse_args()
    if values.tiles is not None and values.tiles < 1:
        parser.error("--tiles: expected at least 1")
    return _Options(values.tiles, values.json_output)


def _partition_options(folder: Path) -> PartitionOptions:
    return PartitionOptions(
        model=_MODEL,
        output=folder / "chosen.split",
        site=default_site(),
        name="pcb",
        calibration=_EXAMPLE / "calibration.npz",
        use_exits=False,
        place="split",
        profile_s=0.5,
        seed=SEED,
    )


def _plans(result: PartitionResult, options: PartitionOptions) -> Iterator[tuple[str, str, Package]]:
    """Yield each cut, each way to send it, and the package of the two."""
    search = _search(result, options)
    analysis, table = search.analysis, search.costs.table
    for number, tensors in enumerate(dict.fromkeys([result.cuts[0], *((name,) for name in _CUTS)])):
        below = cut_at(analysis.model, analysis.output_names, tensors).nodes
        tier_of = {name: "device" if name in below else "edge" for name in analysis.flow.nodes}
        ways = [{way.codec for way in tensor.ways} for tensor in table.tensors if tensor.id in tensors]
        for way in sorted(set.intersection(*ways)):
            placement = evaluate(table, tier_of, codecs=[dict.fromkeys(tensors, way)])
            found = search.check(Solution(placement, placement.value, 0.0, "chain"))
            if found is not None:
                output = options.output.with_name(f"{number}-{way}.split")
                package = pack(replace(options, output=output), analysis, search.costs, [PlanFrom(found, 0.0)], [])
                yield " & ".join(tensors), way, package


def _search(result: PartitionResult, options: PartitionOptions) -> Search:
    """Price all ways anew: the planner's own search has forbidden some."""
    search = result.search
    ways = price(search.analysis, options, search.seen)
    costs = make_costs(search.analysis, options, search.costs.times, ways)
    return Search(search.analysis, options, Materials(costs, search.seen, Trainer(search.analysis, options)))


def _wire_bytes(package: Package, tiles: Samples) -> tuple[float, float]:
    """Return the mean bytes of the tensors and of the request that the device sends for a tile."""
    wire = package.manifest.plan.wires[0]
    entry = package.manifest.segment_of("device")
    assert entry is not None
    device = Segment(package.read_segment(entry), name=entry.id)
    tensor_bytes, request_bytes = [], []
    for batch in _batches(tiles):
        made = device.run(batch)
        for index in range(len(next(iter(batch.values())))):
            one = {spec.name: take_samples(spec, made[spec.name], np.array([index])) for spec in wire.specs}
            sent, parameters = code(wire, one)
            tensor_bytes.append(sum(array.nbytes for array in sent.values()))
            request_bytes.append(_request_bytes(package, sent, parameters))
    return float(np.mean(tensor_bytes)), float(np.mean(request_bytes))


def _request_bytes(package: Package, tensors: Tensors, parameters: Mapping[str, Mapping[str, Parameter]]) -> int:
    model = package.manifest.model
    request = InferRequest(
        f"{model.name}.edge",
        tensors,
        str(model.version),
        id="1000",
        parameters=request_parameters(package.manifest.plan.id, Deadline.after_ms(DEADLINE_MS)),
        tensor_parameters=parameters,
    )
    return len(encode_request(request)) + _FRAME_BYTES


def _batches(tiles: Samples) -> Iterator[Tensors]:
    for start in range(0, tiles.count, _BATCH):
        yield tiles.take(range(start, min(start + _BATCH, tiles.count)))


def _accuracy(run: _Run, tiles: Samples, package: Package) -> float:
    """Return the share of tiles whose class is right."""
    output = next(entry.name for entry in package.manifest.model.outputs if len(entry.shape) == 2)
    assert tiles.labels is not None
    predicted = np.concatenate([run(batch)[output].argmax(axis=1) for batch in _batches(tiles)])
    return float(np.mean(predicted == tiles.labels))


def _input_rows(tiles: Samples, package: Package) -> Iterator[_Row]:
    """Yield ways to send the input itself, all of the model above: as arrays, coded, and as images."""
    whole = OnnxSession(_MODEL, name="the whole model")
    accuracy = _accuracy(whole.run, tiles, package)
    (spec,) = tiles.specs
    packed = next(iter(tiles.take(range(tiles.count)).values()))
    pixels = np.unpackbits(packed, axis=-1)

    def row(sent: str, each: Sequence[Array], right: float = accuracy) -> _Row:
        beside = {spec.name: _beside(sent, packed[:1])} if each[0].ndim == 1 else {}
        sizes = [_request_bytes(package, {spec.name: array}, beside) for array in each]
        return _Row("input", sent, float(np.mean([array.nbytes for array in each])), float(np.mean(sizes)), right)

    yield row("float32 pixels", np.split(pixels.astype(np.float32), len(pixels)))
    yield row("uint8 pixels", np.split(pixels, len(pixels)))
    yield row("packed bits", np.split(packed, len(packed)))
    yield row("packed bits, zstd", [_as_array(encode("zstd", one)) for one in np.split(packed, len(packed))])
    yield row("PNG, 1 bit", [_as_array(_image(one, "PNG")) for one in pixels.astype(bool)])
    yield row("PNG, 8 bits", [_as_array(_image(one, "PNG")) for one in pixels * np.uint8(255)])
    for quality in _QUALITIES:
        images = [_image(one, "JPEG", quality=quality) for one in pixels * np.uint8(255)]
        decoded = np.stack([_bits(image) for image in images]).reshape(packed.shape)
        right = _accuracy(whole.run, replace(tiles, inputs={spec.name: decoded}), package)
        yield row(f"JPEG, quality {quality}", [_as_array(image) for image in images], right)


def _beside(sent: str, array: Array) -> dict[str, Parameter]:
    """What a request says of a tensor that is coded."""
    shape = ",".join(map(str, array.shape))
    return {CODING: sent.partition(",")[0].lower(), DATATYPE: to_datatype(array.dtype.name), SHAPE: shape}


def _as_array(data: bytes) -> Array:
    return np.frombuffer(data, np.uint8)


def _image(planes: Array, kind: str, **settings: int) -> bytes:
    """Return bool or uint8 `[2, 64, 64]` as one image, the tested tile over its template."""
    file = io.BytesIO()
    Image.fromarray(planes.reshape(-1, planes.shape[-1])).save(file, kind, **settings)
    return file.getvalue()


def _bits(image: bytes) -> Array:
    """Return an image's pixels at half of white and above as 1, eight a byte."""
    with Image.open(io.BytesIO(image)) as opened:
        return np.packbits(np.asarray(opened) >= 128, axis=-1)


def _show(rows: Sequence[_Row], count: int, *, json_output: bool) -> None:
    """Print the rows; those that no other beats in both bytes and accuracy are marked."""
    if json_output:
        print(json.dumps({"tiles": count, "rows": [asdict(row) for row in rows]}))
        return
    table = Table("cut", "sent", "tensors", "request", "accuracy", "", title=f"{count} test tiles, bytes of each")
    best = -1.0
    for row in rows:
        mark = "*" if row.accuracy > best else ""
        best = max(best, row.accuracy)
        figures = f"{row.tensor_bytes:,.0f}", f"{row.request_bytes:,.0f}", f"{row.accuracy:.2%}"
        table.add_row(row.what, row.sent, *figures, mark)
    Console().print(table)


if __name__ == "__main__":
    main()
