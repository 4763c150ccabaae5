"""What it costs to encode and decode a request with a tensor of 800 KB, against copying its bytes once."""

import resource
import time
from collections.abc import Callable

import numpy as np

from benchmarks.harness import (
    KILOBYTE,
    Figure,
    interleave,
    median,
    random_bytes,
    ratio,
    read_options,
    round_medians,
    show,
)
from splitnet.protocol import InferRequest, decode_request, encode_request

_SIZE_BYTES = 800 * KILOBYTE
_BLOCK = 50
_FAULT_MESSAGES = 500


def main() -> None:
    """Measure in turns and print."""
    options = read_options(__doc__, seconds=8.0)
    tensors = random_bytes(_SIZE_BYTES)
    request = InferRequest("identity.cloud", tensors, "1", "0123456789abcdef", {"splitnet_deadline_ms": 1000})
    target = np.empty_like(tensors["x"])

    def carry() -> None:
        """Encode and decode; the array that comes out is a view of the message."""
        decode_request(encode_request(request))

    assert np.array_equal(decode_request(encode_request(request)).tensors["x"], tensors["x"])
    calls = {"memcpy": lambda: np.copyto(target, tensors["x"]), "carry": carry}
    taken = interleave(calls, seconds=options.seconds, block=_BLOCK)
    memcpy, carried = (round_medians(taken[name], _BLOCK) for name in calls)
    faults, cpu_us = _faults_and_cpu(carry)
    figures = [
        Figure("memcpy, us", 1e3 * median(taken["memcpy"]), best=1e3 * min(memcpy)),
        Figure("encode + decode, us", 1e3 * median(taken["carry"]), best=1e3 * min(carried)),
        Figure("encode + decode / memcpy", ratio(carried, memcpy), "<= 2.00", best=min(carried) / min(memcpy)),
        Figure("encode + decode, us of CPU", cpu_us),
        Figure("minor faults a message", faults, "<= 10"),
    ]
    show("encoding and decoding 800 KB", figures, options)


def _faults_and_cpu(carry: Callable[[], None]) -> tuple[float, float]:
    """Return the minor page faults and the microseconds of CPU time of one message."""
    before, start_s = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.process_time()
    for _ in range(_FAULT_MESSAGES):
        carry()
    cpu_s = time.process_time() - start_s
    after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    return (after - before) / _FAULT_MESSAGES, 1e6 * cpu_s / _FAULT_MESSAGES


if __name__ == "__main__":
    main()
