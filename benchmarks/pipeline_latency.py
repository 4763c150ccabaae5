"""What the three-process pipeline adds to the time of its segments, one tile in flight, on loopback."""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.harness import (
    Calls,
    Figure,
    example_package,
    example_tiles,
    interleave,
    load_segments,
    median,
    read_options,
    round_medians,
    run_segments,
    show,
    three_tiers,
)

_HOPS = 2
#: Tiles of one round; the two take turns tile by tile.
_ROUND = 100


def main() -> None:
    """Measure request by request, in turns, and print."""
    options = read_options(__doc__, seconds=20.0)
    with tempfile.TemporaryDirectory() as folder:
        package = example_package(Path(folder))
        tile = example_tiles(package).take([0])
        segments = load_segments(package)
        with three_tiers(package) as (session, _):
            answer = session.infer(tile)
            assert answer.exits == ("cloud",)
            assert not answer.fallback
            whole = run_segments(segments, tile)
            assert all(np.array_equal(array, whole[name]) for name, array in answer.outputs.items())
            compute_ms: list[float] = []

            def infer() -> None:
                compute_ms.append(sum(session.infer(tile).timings_ms.values()))

            calls: Calls = {"segments": partial(run_segments, segments, tile), "pipeline": infer}
            taken = interleave(calls, seconds=options.seconds, block=1)
    segments_ms, pipeline_ms = median(taken["segments"]), median(taken["pipeline"])
    in_place_ms = median(compute_ms)
    added_ms = [
        (pipeline - alone) / _HOPS
        for pipeline, alone in zip(
            round_medians(taken["pipeline"], _ROUND), round_medians(taken["segments"], _ROUND), strict=True
        )
    ]
    figures = [
        Figure("segments one after the other in one process, ms", segments_ms),
        Figure("pipeline of three processes, ms", pipeline_ms),
        Figure("pipeline / segments", pipeline_ms / segments_ms),
        Figure("added a hop, ms", (pipeline_ms - segments_ms) / _HOPS, "<= 0.80", best=min(added_ms)),
        Figure("segments where they run in the pipeline, ms", in_place_ms),
        Figure("added a hop without what segments lose there, ms", (pipeline_ms - in_place_ms) / _HOPS),
    ]
    show("pipeline latency, batch 1, one tile in flight", figures, options)


if __name__ == "__main__":
    main()
