"""Evaluating a run: what it leaves, that a killed evaluation goes on, and that a batch answers like single prompts."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from data.files import read_jsonl
from tests.tiny import FIXTURES, TINY, environment, finetune


def evaluate(cwd: Path, *arguments: str, expect: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "eval", "run", *arguments],
        cwd=cwd,
        env=environment(cwd),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=600,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A folder with a tiny run, evaluated on its validation rows with base and tuned model."""
    cwd = tmp_path_factory.mktemp("evaluated")
    finetune(cwd, "train", "cpu", "name=run", *TINY, f"model.name={tiny_model}", "train.epochs=1", "model.backend=hf")
    evaluate(cwd, "run", "--split", "validation")
    return cwd


def test_figures_answers_and_report(evaluated: Path) -> None:
    folder = evaluated / "runs" / "run" / "eval" / "validation"
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["tuned"]["n"] == metrics["base"]["n"] == 8 and metrics["compare"]["n"] == 8
    assert metrics["probe"] is None and metrics["settings"]["max_new_tokens"] == 256
    for name in ("generations.jsonl", "generations.base.jsonl"):
        rows = [row for _, row in read_jsonl(folder / name)]
        assert set(rows[0]) == {"settings"} and len(rows) == 9
        assert set(rows[1]) == {"id", "text", "tokens", "truncated"}
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "tiny-3" in page and "<title>" in page


def test_killed_evaluation_goes_on(evaluated: Path) -> None:
    path = evaluated / "runs" / "run" / "eval" / "validation" / "generations.jsonl"
    whole = path.read_text(encoding="utf-8")
    lines = whole.splitlines(keepends=True)
    path.write_text("".join(lines[:4]) + lines[4][:15], encoding="utf-8")
    output = evaluate(evaluated, "run", "--split", "validation", "--no-base", "--batch", "8")
    assert "3 answers are there already, 5 to go" in output
    again = path.read_text(encoding="utf-8").splitlines(keepends=True)
    assert again[:4] == lines[:4]  # nothing is asked twice
    assert sorted(json.loads(line)["id"] for line in again[1:]) == sorted(json.loads(line)["id"] for line in lines[1:])


def test_other_settings_start_anew(evaluated: Path) -> None:
    path = evaluated / "runs" / "run" / "eval" / "validation" / "generations.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    head = json.loads(lines[0])
    head["settings"]["max_new_tokens"] = 7
    path.write_text(json.dumps(head) + "\n" + "".join(lines[1:]), encoding="utf-8")
    output = evaluate(evaluated, "run", "--split", "validation", "--no-base")
    assert "already" not in output
    assert next(row for _, row in read_jsonl(path))["settings"]["max_new_tokens"] == 256


def test_split_that_is_not_there(evaluated: Path) -> None:
    assert "data.test" in evaluate(evaluated, "run", expect=2)


def test_run_that_is_not_there(evaluated: Path) -> None:
    assert "no run 'none'" in evaluate(evaluated, "none", expect=2)


@pytest.fixture(scope="module")
def model_and_prompts(tiny_model: Path) -> tuple[Any, Any, list[list[int]]]:
    from data.load import load_records
    from data.pretrained import load_tokenizer
    from data.render import render_prompt
    from data.template import project_template
    from eval.load import load_model

    tokenizer = load_tokenizer(tiny_model)
    template = project_template(tokenizer, "signature")
    rows = load_records(FIXTURES / "validation.jsonl")
    model = load_model(tiny_model, dtype="float32", load_in_4bit=False, device="cpu")
    return model, tokenizer, [render_prompt(r, tokenizer, template) for r in rows]


def test_batch_answers_like_single_prompts(model_and_prompts: tuple[Any, Any, list[list[int]]]) -> None:
    from eval.generate import generate, safe_batch

    model, tokenizer, prompts = model_and_prompts
    assert safe_batch(model, tokenizer, prompts, batch=8, warn=pytest.fail) == 8
    together = generate(model, tokenizer, prompts, max_new_tokens=12, batch=8)
    alone = [generate(model, tokenizer, [p], max_new_tokens=12, batch=1)[0] for p in prompts]
    assert together == alone


def test_batch_that_answers_otherwise_falls_back_to_single_prompts(
    model_and_prompts: tuple[Any, Any, list[list[int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from eval.generate import safe_batch

    model, tokenizer, prompts = model_and_prompts
    generate = model.generate

    def broken(**arguments: Any) -> Any:
        out = generate(**arguments)
        if len(arguments["input_ids"]) > 1:  # as broken left padding does: a row of the batch gets another's answer
            longest = arguments["input_ids"].shape[1]
            out.sequences[:, longest:] = 7
        return out

    monkeypatch.setattr(model, "generate", broken)
    warnings: list[str] = []
    assert safe_batch(model, tokenizer, prompts, batch=8, warn=warnings.append) == 1
    assert "one by one" in warnings[0]
