"""`splitnet plan` as a process: its object, its tables, its errors, and that docs/plan.md tells the truth."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plan.reference import Json
from tests.plan.tables import large_table

PAGE = (Path(__file__).parents[2] / "docs" / "plan.md").read_text(encoding="utf-8")


def block(name: str) -> Json:
    """The JSON block of docs/plan.md behind the comment `name`."""
    found = re.search(rf"<!-- {name} -->\n```json\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    value: Json = json.loads(found[1])
    return value


def plan(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "splitnet", "plan", str(path), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def problem(tmp_path: Path) -> Path:
    path = tmp_path / "problem.json"
    path.write_text(json.dumps(block("problem")), encoding="utf-8")
    return path


def rewrite(path: Path, **more: object) -> Path:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | more), encoding="utf-8")
    return path


def test_the_object_is_the_one_of_the_page(problem: Path) -> None:
    run = plan(problem, "--json")
    assert (run.returncode, run.stderr) == (0, "")
    answer, expected = json.loads(run.stdout), block("answer")
    assert list(answer) == list(expected)
    assert answer["gap"] < 1e-9
    assert (answer["tier_of"], answer["method"]) == (expected["tier_of"], expected["method"])
    assert answer["unsplit"] == pytest.approx(expected["unsplit"])
    assert (answer["value"], answer["bound"], answer["latency_ms"]) == pytest.approx((90.74, 90.74, 90.74))
    assert (answer["exits"], answer["codecs"]) == (expected["exits"], expected["codecs"])
    assert answer["stages"] == pytest.approx(expected["stages"])
    assert answer["bytes"] == expected["bytes"]


def test_the_other_answers_of_the_page(problem: Path) -> None:
    answer = json.loads(plan(rewrite(problem, objective="throughput"), "--json").stdout)
    assert answer["tier_of"] == block("answer")["tier_of"]
    assert answer["value"] == pytest.approx(20.2)
    assert answer["method"] == "milp"
    kept = json.loads(plan(rewrite(problem, objective="latency", keep_on_device=["image"]), "--json").stdout)
    assert kept["tier_of"] == block("answer")["tier_of"]
    assert (kept["unsplit"]["edge"], kept["unsplit"]["cloud"]) == (None, None)


def with_exit() -> Json:
    """What docs/plan.md adds to its example: a codec and an exit."""
    table = block("problem") | block("exit")
    table["tensors"][1]["codecs"] = block("codecs")["codecs"]
    return table


def test_the_example_with_codecs_and_an_exit_is_the_one_of_the_page(problem: Path) -> None:
    answer = json.loads(plan(rewrite(problem, **with_exit()), "--json").stdout)
    expected = block("exit-answer")
    for key in ("tier_of", "exits", "codecs"):
        assert answer[key] == expected[key]
    assert answer["stages"] == pytest.approx(expected["stages"])
    assert answer["bytes"] == pytest.approx(expected["bytes"])
    assert answer["value"] == pytest.approx(expected["value"])


def test_the_tables_show_codecs_and_exits(problem: Path) -> None:
    run = plan(rewrite(problem, **with_exit()))
    assert (run.returncode, run.stderr) == (0, "")
    for shown in ("sure", "features (u8)", "device-edge", "edge-cloud"):
        assert shown in run.stdout


def test_the_tables(problem: Path) -> None:
    run = plan(rewrite(problem, keep_on_device=["image"]))
    assert (run.returncode, run.stderr) == (0, "")
    for shown in ("device", "stem", "body, head", "90.74", "all-device", "269", "not allowed", "min-cut", "gap"):
        assert shown in run.stdout


def test_names_that_look_like_markup_are_shown_as_they_are(problem: Path) -> None:
    text = problem.read_text(encoding="utf-8").replace('"stem"', '"[red]stem[/]"')
    problem.write_text(text, encoding="utf-8")
    assert "[red]stem[/]" in plan(problem).stdout


def test_of_many_nodes_a_few_are_shown(problem: Path) -> None:
    run = plan(rewrite(problem, **large_table(0, 60, reach=1)))
    assert "…" in run.stdout
    assert "n59" in run.stdout


def test_nothing_but_the_object_is_on_standard_output(problem: Path) -> None:
    """HiGHS 1.12 prints a note of its own for this problem, found among 1,500 random ones."""
    milliseconds = {"n0": [0, 41.39238353071724, 1.5], "n2": [12.503190951084104, 1, 27.375777131079214]}
    milliseconds["n1"] = [0.5, 0, 0.25]
    tensors = [
        {"id": "t2", "producer": None, "consumers": ["n0", "n1", "n2"], "bytes": 9216},
        {"id": "t3", "producer": "n0", "consumers": ["n2", "n1"], "bytes": 30720},
        {"id": "t4", "producer": "n2", "consumers": [], "bytes": 0},
    ]
    links = [{"bandwidth_bps": 2e7, "rtt_ms": 0}, {"bandwidth_bps": 1e9, "rtt_ms": 0}]
    nodes = [{"id": name, "cost_ms": cost} for name, cost in milliseconds.items()]
    run = plan(rewrite(problem, nodes=nodes, tensors=tensors, links=links, objective="throughput"), "--json")
    assert run.returncode == 0
    assert json.loads(run.stdout)["method"] == "milp"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not a readable JSON file"),
        ("[" * 100_000, "not a readable JSON file"),
        ("1" * 5000, "not a readable JSON file"),
        ("[]", "the whole: "),
        ('{"tiers": [], "tiers": []}', "the key 'tiers' occurs twice"),
        (json.dumps(block("problem")).replace("0.4", "NaN"), "nodes[0].cost_ms[2]: "),
        (json.dumps(block("problem")).replace("0.4", "1e999"), "nodes[0].cost_ms[2]: "),
        (json.dumps(block("problem") | {"memory_bytes": [1, 2, True]}), "memory_bytes[2]: "),
    ],
    ids=["cut off", "deep", "digits", "list", "twice", "nan", "infinite", "bool"],
)
def test_what_is_malformed_is_one_line_and_exit_code_2(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="utf-8")
    run = plan(path, "--json")
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(f"splitnet: {path}: {said}")
    assert run.stderr.count("\n") == 1


def test_no_placement_is_exit_code_2(problem: Path) -> None:
    nodes = block("problem")["nodes"]
    nodes[1]["memory_bytes"] = 2000
    run = plan(rewrite(problem, nodes=nodes, memory_bytes=[10, 10, 100]), "--json")
    assert (run.returncode, run.stdout) == (2, "")
    assert "nodes[1].memory_bytes: 'body' fits on no tier" in run.stderr


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    run = plan(tmp_path / "none.json")
    assert run.returncode == 2
    assert "no such file" in run.stderr
    assert plan(tmp_path).returncode == 2


def test_a_time_limit_that_is_none(problem: Path) -> None:
    assert plan(problem, "--time-limit", "0").returncode == 2
    assert plan(problem, "--time-limit", "5", "--json").returncode == 0
