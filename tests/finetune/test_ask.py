"""Asking a run's model: what stands before a request, how an answer is judged, and the command itself."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from data.record import Record
from data.render import render_prompt
from eval.generate import Output
from eval.trained import read_trained
from finetune.ask import _fullest, judge, read_ahead, read_context, run_and_requests, usual_line
from tests.tiny import FIXTURES, TINY, environment, finetune
from tooltune.errors import InputError
from tooltune.files import read_jsonl, write_json
from tooltune.run import point_latest

ROWS = [row for _, row in read_jsonl(FIXTURES / "validation.jsonl")]
LOAD = {
    "type": "function",
    "function": {
        "name": "add_load",
        "description": "",
        "parameters": {
            "type": "object",
            "properties": {"node": {"type": "integer", "minimum": 1}, "axis": {"enum": ["X", "Y"]}},
            "required": ["node", "axis"],
            "additionalProperties": False,
        },
    },
}


def answer(text: str, truncated: bool = False):
    return judge("6번 절점", Output(text, 9, truncated), [LOAD], "hermes")


def written(name: str, arguments: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


def test_valid_call_is_one_line() -> None:
    found = answer(written("add_load", '{"node": 6, "axis": "X"}') + "<|im_end|>")
    assert found.lines() == ['add_load(node=6, axis="X")  ✓ valid'] and found.valid
    assert found.lines(with_request=True)[0] == "> 6번 절점"
    assert found.to_dict() == {
        "request": "6번 절점",
        "calls": [{"name": "add_load", "arguments": {"node": 6, "axis": "X"}, "errors": []}],
        "text": "",
        "problem": "",
        "valid": True,
    }


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (written("add_load", '{"node": 6, "axis": "Z"}'), "axis: 'Z' is not one of ['X', 'Y']"),
        (written("add_load", '{"node": 6}'), "'axis' is a required property"),
        (written("add_load", '{"node": 0, "axis": "X"}'), "node: 0 is less than the minimum of 1"),
        (written("add_load", '{"node": 6, "axis": "X", "unit": "kN"}'), "'unit' was unexpected"),
        (written("move", "{}"), "not offered"),
    ],
)
def test_call_that_breaks_a_schema_says_why(call: str, why: str) -> None:
    found = answer(call)
    assert not found.valid and "✗" in found.lines()[0] and why in found.lines()[0]


def test_two_calls_are_two_lines_each_judged() -> None:
    found = answer(written("add_load", '{"node": 6, "axis": "X"}') + "\n" + written("add_load", '{"node": 7}'))
    assert ["✓" in line for line in found.lines()] == [True, False] and not found.valid


def test_text_is_an_answer() -> None:
    found = answer("※ 방향을 알려주세요.<|im_end|>")
    assert found.lines() == ["※ 방향을 알려주세요."] and found.valid


def test_unreadable_and_cut_calls_are_told() -> None:
    repaired = answer(written("add_load", '{"node": 6, "axis": "X",}'))
    assert not repaired.valid and repaired.calls and "trailing_comma" in repaired.lines()[-1]
    cut = answer('<tool_call>\n{"name": "add_lo', truncated=True)
    assert not cut.valid and "cut off after 9 tokens" in cut.lines()[-1]


def test_first_argument_is_a_run_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLTUNE_RUNS", str(tmp_path))
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text("model: {}", encoding="utf-8")
    point_latest(tmp_path / "new")
    assert run_and_requests(["old", "되돌려"]) == (tmp_path / "old", ["되돌려"])
    assert run_and_requests(["되돌려", "old"]) == (tmp_path / "new", ["되돌려", "old"])
    assert run_and_requests(["latest"]) == (tmp_path / "new", [])
    assert run_and_requests([]) == (tmp_path / "new", [])
    long = "절점 8번에 하중을 추가해줘 " * 30  # longer than a file's name may be
    assert run_and_requests([long]) == (tmp_path / "new", [long])
    (tmp_path / "unbegun").mkdir()
    with pytest.raises(InputError, match="unbegun"):
        run_and_requests(["unbegun", "되돌려"])


def test_usual_line_is_the_one_that_all_rows_have() -> None:
    def row(content: str, role: str = "system") -> Record:
        return Record("", [{"role": role, "content": content}], [])

    assert usual_line([row("Call.\nModel: 1"), row("Call.\nModel: 2")]) == "Call."
    assert usual_line([row("Call."), row("Do.")]) == ""
    assert usual_line([row("Call."), row("hello", "user")]) == ""


def test_usual_row_has_the_most_tools_under_their_own_names() -> None:
    rows = [
        Record("renamed", [], [LOAD] * 3, {"renamed": {}}),
        Record("few", [], [LOAD]),
        Record("most", [], [LOAD] * 2),
        Record("later", [], [LOAD] * 2),
    ]
    assert _fullest(rows).id == "most" and _fullest(rows[:1]).id == "renamed"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A folder with a tiny run."""
    cwd = tmp_path_factory.mktemp("asked")
    small = ["train.max_steps=2", "eval.max_new_tokens=16", "model.backend=hf"]
    finetune(cwd, "train", "cpu", "name=run", *TINY, f"model.name={tiny_model}", *small)
    return cwd


@pytest.mark.slow
def test_a_row_gives_the_prompt_that_it_was_trained_with(trained: Path) -> None:
    run = read_trained(trained / "runs" / "run")
    for row in ROWS:
        record = Record.from_dict(row)
        asked = read_context(run, row["id"]).record(row["messages"][1]["content"])
        theirs = render_prompt(run.view(record), run.tokenizer, run.template)
        assert render_prompt(asked, run.tokenizer, run.template) == theirs


@pytest.mark.slow
def test_contexts(trained: Path, tmp_path: Path) -> None:
    run = read_trained(trained / "runs" / "run")
    usual = read_context(run)
    assert usual.described() == "asked as in row tiny-32: undo, get_force, add_load; Call."
    assert "tiny-00" in read_context(run, "tiny-00").origin  # of the training split
    with pytest.raises(InputError, match="no row 'tiny-99'"):
        read_context(run, "tiny-99")
    path = tmp_path / "tools.json"
    write_json(path, [LOAD])
    own = read_context(run, tools=path)
    assert (
        own.system == [{"role": "system", "content": "Call."}]
        and own.tools == run.view(Record("own", [], [LOAD])).tools
    )
    with pytest.raises(InputError, match="a row and a file"):
        read_context(run, "tiny-32", path)
    write_json(path, [LOAD, LOAD])
    with pytest.raises(InputError, match="offered twice"):
        read_context(run, tools=path)


@pytest.mark.slow
def test_what_is_read_ahead_is_the_beginning_of_every_request(trained: Path) -> None:
    """And changes no answer."""
    from eval.generate import generate
    from eval.trained import load_tuned

    run = read_trained(trained / "runs" / "run")
    context, model = read_context(run), load_tuned(run, pytest.fail).float()  # no ties of rounded scores
    kept = read_ahead(run, model, context)
    assert kept
    for request in ("6번 절점에 X방향 7.5kN", "부재 31 힘", "1", " 1"):
        prompt = render_prompt(context.record(request), run.tokenizer, run.template)
        assert prompt[: len(kept.tokens)] == kept.tokens
        assert context.tools[-1]["function"]["name"] in run.tokenizer.decode(kept.tokens)
        alone, after = (
            generate(model, run.tokenizer, [prompt], max_new_tokens=9, batch=1, kept=k) for k in (None, kept)
        )
        assert alone == after


@pytest.mark.slow
def test_command(trained: Path) -> None:
    """Answers alone on standard output; as arguments, and a line each from standard input."""
    said = ask(trained, "run", "6번 절점에 X방향 7.5kN", "부재 31 힘", "--json")
    answers = [json.loads(line) for line in said.stdout.splitlines()]
    assert [a["request"] for a in answers] == ["6번 절점에 X방향 7.5kN", "부재 31 힘"]
    assert all({"calls", "text", "problem", "valid"} < a.keys() for a in answers)
    assert "run, asked as in row tiny-32: undo, get_force, add_load; Call." in said.stderr and "Loading" in said.stderr
    typed = ask(trained, "--json", typed="6번 절점에 X방향 7.5kN\n\n부재 31 힘\n")
    assert [json.loads(line)["request"] for line in typed.stdout.splitlines()] == [a["request"] for a in answers]
    assert "no row 'none'" in ask(trained, "run", "힘", "--row", "none", expect=2).stderr


def ask(cwd: Path, *arguments: str, typed: str = "", expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "finetune", "ask", *arguments],
        cwd=cwd,
        env=environment(cwd),
        input=typed,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=600,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done
