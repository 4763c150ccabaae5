"""Writing a report: beside its place, flushed, then renamed, so that none is ever half there."""

import os
import tempfile
from pathlib import Path

from splitnet.errors import OperatorError
from splitnet.report.data import Report
from splitnet.report.page import page


def write_report(report: Report, path: Path) -> None:
    """Write `report` to `path` as one HTML file of about 5 MB; a file that is there is replaced.

    Raises:
        InvalidArgumentError: Plotly is not installed.
        OperatorError: the disk refuses.
    """
    content = page(report).encode()
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as err:
        raise OperatorError(f"{path}: the report cannot be written: {err.strerror}") from err
    beside = Path(name)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.chmod(0o644)
        beside.replace(path)
    except OSError as err:
        raise OperatorError(f"{path}: the report cannot be written: {err.strerror}") from err
    finally:
        beside.unlink(missing_ok=True)
