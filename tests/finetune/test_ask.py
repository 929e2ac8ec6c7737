"""Asking a run's model: what stands before a request, the commands themselves, and the same from a program."""

import json
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

import tooltune
from data.record import Record
from data.render import render_prompt
from data.splits import read_splits
from eval.asking import Decoding, Model, prompt_of
from eval.constrained import Constraint
from eval.trained import Trained, read_trained
from finetune.ask import run_and_requests
from finetune.context import Context, fullest, read_context, usual_line
from tests import forked
from tests.tiny import FIXTURES, TINY, environment, finetune
from tooltune.config import load_config
from tooltune.errors import InputError
from tooltune.files import read_jsonl, write_json
from tooltune.run import point_latest

ROWS = [row for _, row in read_jsonl(FIXTURES / "validation.jsonl")]
TOOL = {
    "type": "function",
    "function": {"name": "add_load", "parameters": {"type": "object", "properties": {}, "required": []}},
}


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
        Record("renamed", [], [TOOL] * 3, {"renamed": {}}),
        Record("few", [], [TOOL]),
        Record("most", [], [TOOL] * 2),
        Record("later", [], [TOOL] * 2),
    ]
    assert fullest(rows).id == "most" and fullest(rows[:1]).id == "renamed"


def test_the_usual_row_offers_the_tool_that_the_readme_asks_for() -> None:
    usual = read_context(None, read_splits(load_config("cpu").data))  # type: ignore[arg-type]
    assert "add_nodal_load" in {tool["function"]["name"] for tool in usual.tools}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A folder with a tiny run."""
    cwd = tmp_path_factory.mktemp("asked")
    small = ["train.max_steps=2", "eval.max_new_tokens=16", "model.backend=hf"]
    finetune(cwd, "train", "cpu", "name=run", *TINY, f"model.name={tiny_model}", *small)
    return cwd


def context_of(run: Trained, row: str | None = None, tools: Path | None = None) -> Context:
    return read_context(run, read_splits(run.config.data), row, tools)


@pytest.mark.slow
def test_a_row_gives_the_prompt_that_it_was_trained_with(trained: Path) -> None:
    run = read_trained(trained / "runs" / "run")
    for row in ROWS:
        record = Record.from_dict(row)
        context = context_of(run, row["id"])
        theirs = render_prompt(run.view(record), run.tokenizer, run.template)
        assert prompt_of(run, context.conversation(row["messages"][1]["content"]), context.tools) == theirs
    with pytest.raises(InputError, match="surrogate"):
        prompt_of(run, context.conversation("\udcff"), [])


@pytest.mark.slow
def test_contexts(trained: Path, tmp_path: Path) -> None:
    run = read_trained(trained / "runs" / "run")
    usual = context_of(run)
    assert str(usual.described("run")) == "run, asked as in row tiny-00: undo, add_load, get_force; Call."
    assert "tiny-32" in str(context_of(run, "tiny-32").origin)  # of the validation split
    with pytest.raises(InputError, match="no row 'tiny-99'"):
        context_of(run, "tiny-99")
    path = tmp_path / "tools.json"
    write_json(path, [TOOL])
    own = context_of(run, tools=path)
    assert (
        own.system == [{"role": "system", "content": "Call."}]
        and own.tools == run.view(Record("own", [], [TOOL])).tools
    )
    with pytest.raises(InputError, match="a row and a file"):
        context_of(run, "tiny-32", path)
    write_json(path, [TOOL, TOOL])
    with pytest.raises(InputError, match="offered twice"):
        context_of(run, tools=path)


@pytest.mark.slow
def test_what_is_read_ahead_is_the_beginning_of_every_request(trained: Path) -> None:
    """And changes no answer."""
    from eval.generate import generate
    from eval.trained import load_tuned

    run = read_trained(trained / "runs" / "run")
    context, weights = context_of(run), load_tuned(run, pytest.fail).float()  # no ties of rounded scores
    decoding = Decoding(run, weights, pytest.fail)
    Model(run, decoding).read(context.system, context.tools)
    kept = decoding.kept
    assert kept
    for request in ("6번 절점에 X방향 7.5kN", "부재 31 힘", "1", " 1"):
        prompt = prompt_of(run, context.conversation(request), context.tools)
        assert prompt[: len(kept.tokens)] == kept.tokens
        assert context.tools[-1]["function"]["name"] in run.tokenizer.decode(kept.tokens)
        alone, after = (
            generate(weights, run.tokenizer, [prompt], max_new_tokens=9, batch=1, kept=k) for k in (None, kept)
        )
        assert alone == after


@pytest.mark.slow
def test_a_program_gets_the_answers_of_the_command(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)
    model = tooltune.Model.load("runs/latest", say=pytest.fail)
    context = context_of(model.trained)
    requests = ["6번 절점에 X방향 7.5kN", "부재 31 힘"]
    told = [json.loads(line) for line in ask(trained, "run", *requests, "--json").stdout.splitlines()]
    answers = [model.answer(context.conversation(request), context.tools) for request in requests]
    assert [{"request": r} | a.to_dict() for r, a in zip(requests, answers, strict=True)] == told
    assert all(a.output for a in answers), "a random model writes something"
    assert model(context.conversation("되돌려"), []) == []
    with pytest.raises(InputError, match=r"request: \d+ tokens, and the model takes 2048"):
        model(context.conversation("가" * 1000), [])
    with pytest.raises(InputError, match="offered twice"):
        model(context.conversation("되돌려"), [TOOL, TOOL])


@pytest.mark.slow
def test_constrained_answers_are_held_to_the_tools(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package it is refused before a model is loaded."""
    from eval.trained import load_tuned

    if not find_spec("xgrammar"):
        said = ask(trained, "run", "힘", "--constrained", expect=2).stderr
        assert "xgrammar is not installed" in said and "Loading" not in said
        return
    run = read_trained(trained / "runs" / "run")
    weights, told = load_tuned(run, pytest.fail), []
    monkeypatch.setattr("eval.asking.generate", lambda *a, restrict, **more: told.append(restrict) or [])
    for constrained in (False, True):
        Decoding(run, weights, pytest.fail, constrained=constrained).write([[1, 2], [3]], [TOOL])
    assert told[0] is None and isinstance(told[1], Constraint)


@pytest.mark.slow
def test_command(trained: Path) -> None:
    """Answers alone on standard output; as arguments, and a line each from standard input."""
    said = ask(trained, "run", "6번 절점에 X방향 7.5kN", "부재 31 힘", "--json")
    answers = [json.loads(line) for line in said.stdout.splitlines()]
    assert [a["request"] for a in answers] == ["6번 절점에 X방향 7.5kN", "부재 31 힘"]
    assert all({"calls", "text", "problem", "output", "valid"} < a.keys() for a in answers)
    assert "run, asked as in row tiny-00: undo, add_load, get_force; Call." in said.stderr and "Loading" in said.stderr
    assert said.stderr.count("need not be right") == 1
    typed = ask(trained, "--json", typed="6번 절점에 X방향 7.5kN\n\n부재 31 힘\n")
    assert [json.loads(line)["request"] for line in typed.stdout.splitlines()] == [a["request"] for a in answers]
    assert "no row 'none'" in ask(trained, "run", "힘", "--row", "none", expect=2).stderr


@pytest.mark.slow
def test_chat_command(trained: Path) -> None:
    """A script on standard input; these rows have no domain."""
    script = "6번 절점에 X방향 7.5kN\n\n/raw\n부재 31 힘\n/tools\n/quit\nnever asked\n"
    said = ask(trained, "run", typed=script, command="chat")
    assert [line for line in said.stdout.splitlines() if line.startswith("> ")] == [
        "> 6번 절점에 X방향 7.5kN",
        "> /raw",
        "> 부재 31 힘",
        "> /tools",
        "> /quit",
    ]
    assert said.stdout.count("  raw: ") == 1 and "add_load(node: int, axis: X|Y|Z, value: num)" in said.stdout
    assert "Calls are shown, and not carried out." in said.stderr
    assert "no command /nothing" in ask(trained, "run", typed="/nothing\n", command="chat", expect=2).stderr


def ask(
    cwd: Path, *arguments: str, typed: str = "", expect: int = 0, command: str = "ask"
) -> subprocess.CompletedProcess[str]:
    words = ["-m", "finetune", command, *arguments]
    done = forked.run(words, cwd=cwd, env=environment(cwd), unsloth=False, typed=typed)
    assert done.returncode == expect, done.stdout + done.stderr
    return done
