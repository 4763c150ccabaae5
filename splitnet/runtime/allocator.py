"""Memory of programs that serve: kept where glibc would give it back, and not looked through again and again."""

import ctypes
import gc
import logging
import os

logger = logging.getLogger(__name__)

# Parameters of mallopt(3), by their numbers in <malloc.h>.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8

# Blocks below the first come from the heap, which keeps up to the second at its top; one arena, for what one
# thread frees the next one takes. The first is larger than any message that is taken by default.
_SETTINGS = ((_M_MMAP_THRESHOLD, 64 * 2**20), (_M_TRIM_THRESHOLD, 256 * 2**20), (_M_ARENA_MAX, 1))


def keep_memory() -> bool:
    """Tell malloc to keep what messages free for those that follow; return whether this one can.

    It gives large blocks back to the kernel, which faults them in again for the next message.
    Of this process, for good; its resident memory stays near its peak. To be called before threads start: an arena
    that a thread has made stays. Does nothing where the C library is not glibc, or is not allowed to.
    """
    if os.name != "posix":
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    done = [library.mallopt(parameter, value) == 1 for parameter, value in _SETTINGS]
    if not all(done):
        logger.info("malloc does not take its settings; messages may cost more")
    return all(done)


def settle() -> None:
    """Have the garbage collector leave alone what is there now; for programs, once they have loaded all.

    A collection of the oldest generation stops every thread while it looks through all that was loaded: 80 ms for
    the 150,000 objects of a device. What is dropped later is freed as its last reference goes, if in no circle.
    """
    gc.collect()
    gc.freeze()
