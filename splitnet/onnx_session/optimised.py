"""A model as onnxruntime has optimised it for this machine, kept in a directory so that it opens sooner."""

import hashlib
import logging
import os
import platform
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnxruntime as ort

from splitnet.errors import OperatorError
from splitnet.whole_file import write_whole

logger = logging.getLogger(__name__)

#: Most that is kept in a directory.
LIMIT_BYTES = 2 * 2**30
#: Larger ones are not kept: to read and check them takes longer than to optimise the model. To open it took,
#: without and with the file: MobileNetV2 (9 MB) 10 and 6 ms, Swin (114 MB) 244 and 193, BERT (439 MB) 543 and 666.
LARGEST_BYTES = 128 * 2**20

_SUFFIX = ".optimised"
# Each file ends with the CRC-32 of what is before it. What damages these files is accident: an enemy who can write
# them can write another sum, too.
_SUM_BYTES = 4


@dataclass(frozen=True, slots=True)
class OptimisedFile:
    """Where a model is kept as optimised: a file of `folder`, in which the longest unused go first.

    It holds for one version of onnxruntime and one processor: layouts are chosen by its vector instructions.

    Attributes:
        folder: of such files alone; made when the first is kept.
        sha256: of the model, as hex digits; whoever read it has checked them, and to hash it again would take
            longer than the file saves.
        limit_bytes: most that all files of the folder together may have.
    """

    folder: Path
    sha256: str
    limit_bytes: int = LIMIT_BYTES

    def read(self) -> bytes | None:
        """Return the optimised model; None where it is not kept, or is damaged."""
        try:
            kept = self.path.read_bytes()
            os.utime(self.path)
        except OSError:
            return None
        model, checksum = kept[:-_SUM_BYTES], kept[-_SUM_BYTES:]
        if _checksum(model) != checksum:
            logger.warning("%s is damaged; the model is optimised anew", self.path)
            return None
        return model

    def write(self, model: bytes) -> None:
        """Keep an optimised model; a directory that cannot be written is logged."""
        if len(model) > min(LARGEST_BYTES, self.limit_bytes):
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(model + _checksum(model), self.path, mode=0o600)
            self._make_room()
        except (OSError, OperatorError) as err:
            logger.warning("an optimised model cannot be kept: %s", err)

    @property
    def path(self) -> Path:
        """The file."""
        made_for = "\n".join((self.sha256, ort.__version__, platform.machine(), *_processor()))
        return self.folder / (hashlib.sha256(made_for.encode()).hexdigest() + _SUFFIX)

    def _make_room(self) -> None:
        found = [(path, path.stat()) for path in self.folder.glob(f"*{_SUFFIX}")]
        left = sum(stat.st_size for _, stat in found)
        for path, stat in sorted(found, key=lambda entry: entry[1].st_mtime_ns):
            if left <= self.limit_bytes:
                return
            path.unlink(missing_ok=True)
            left -= stat.st_size


def _checksum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(_SUM_BYTES, "big")


def _processor() -> Iterator[str]:
    """Yield what tells this processor's instructions from another's."""
    yield platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(errors="replace").splitlines()
        for key in ("model name", "flags", "Features", "CPU part"):
            yield next((line for line in lines if line.startswith(key)), "")
