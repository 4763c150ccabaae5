"""Writing a report."""

from pathlib import Path

from splitnet.report.data import Report
from splitnet.report.page import page
from splitnet.whole_file import write_whole


def write_report(report: Report, path: Path) -> None:
    """Write `report` to `path` as one HTML file of about 5 MB; a file that is there is replaced, never half.

    Raises:
        InvalidArgumentError: Plotly is not installed.
        OperatorError: the disk refuses.
    """
    write_whole(page(report).encode(), path)
