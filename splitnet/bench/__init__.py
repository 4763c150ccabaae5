"""Benchmarks in the style of MLPerf: LoadGen's scenarios put to whatever answers samples."""

from splitnet.bench.load import SCENARIOS, Load, Scenario
from splitnet.bench.report import Report
from splitnet.bench.run import check_loadgen, run_load
from splitnet.bench.system import Submit
from splitnet.bench.tally import Tally
from splitnet.bench.verdict import PERCENTILES

__all__ = [
    "PERCENTILES",
    "SCENARIOS",
    "Load",
    "Report",
    "Scenario",
    "Submit",
    "Tally",
    "check_loadgen",
    "run_load",
]
