"""The help of every command fits a terminal of 80 columns."""

import json
import os
import subprocess
import sys

from tests.programs.processes import ROOT


def test_help_fits_80_columns() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.cli.every_help"],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    texts: dict[str, str] = json.loads(done.stdout)
    assert {"", "edge", "release status", "keys certificate"} <= texts.keys()
    for command, text in texts.items():
        assert "--help" in text
        wide = [line for line in text.splitlines() if len(line) > 80]
        # What does not fit its column, rich cuts off with an ellipsis.
        cut = [line for line in text.splitlines() if "…" in line]
        assert (command, wide, cut) == (command, [], [])
