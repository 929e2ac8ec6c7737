"""The answers of an export beside those of its run."""

import json
from pathlib import Path
from typing import Any

import pytest

from data.record import Record, tool_call
from eval.scoring import Sample, compare, score
from finetune.export.behaviour import Behaviour, Evaluated, _changed
from finetune.export.model_card import write_card
from tests import forked
from tests.tiny import TINY, environment, finetune

TOOL = {"type": "function", "function": {"name": "undo", "description": "", "parameters": {"type": "object"}}}


def call(**arguments: Any) -> str:
    return f"<tool_call>\n{json.dumps({'name': 'undo', 'arguments': arguments})}\n</tool_call><|im_end|>"


def rows(n: int) -> list[Record]:
    right = {"role": "assistant", "content": "", "tool_calls": [tool_call("undo", {"n": 1})]}
    return [Record(f"r{i}", [{"role": "user", "content": "x"}, right], [TOOL]) for i in range(n)]


def behaviour(before: list[str], after: list[str]) -> Behaviour:
    records = rows(len(before))
    answers = dict(zip((r.id for r in records), before, strict=True))
    was = score([Sample.from_record(r, text) for r, text in zip(records, before, strict=True)])
    samples = [Sample.from_record(r, text) for r, text in zip(records, after, strict=True)]
    scores = score(samples)
    changed = list(_changed(Evaluated("test", records, was, answers), samples, scores, "hermes"))
    return Behaviour("test", scores, compare(was, scores), changed)


def test_each_changed_answer_is_listed() -> None:
    found = behaviour([call(n=1), call(n=1), "a<|im_end|>", call(n=2)], [call(n=1), call(n=3), "a", call(n=1)])
    assert [(row.id, row.run, row.export) for row in found.changed] == [
        ("r1", 'undo {"n": 1}', 'undo {"n": 3}'),
        ("r3", 'undo {"n": 2}', 'undo {"n": 1}'),
    ]
    assert [(row.run_right, row.export_right) for row in found.changed] == [(True, False), (False, True)]
    assert not found.worse


def test_worse_is_what_chance_does_not_explain() -> None:
    assert not behaviour([call(n=1)] * 5, [call(n=2)] * 5).worse  # 5 rows to 0: p = 0.06
    lost = behaviour([call(n=1)] * 6, [call(n=2)] * 6).worse
    assert "only the run gets right" not in lost and "the run is better than the export" in lost
    assert not behaviour([call(n=2)] * 6, [call(n=1)] * 6).worse


def test_the_card_brings_licence_figures_and_proof(tmp_path: Path) -> None:
    (tmp_path / "NOTICE").write_text("Gemma is provided under the terms", encoding="utf-8")
    (tmp_path / "GEMMA_TERMS.html").write_text("<h1>Gemma Terms of Use</h1>", encoding="utf-8")
    facts = {
        "name": "run-1",
        "title": "Gemma 3 270M",
        "hub": None,
        "family": "hermes",
        "evaluations": [{"name": "test", "rows": 250, "rates": {"Exact Match": "36.0% (30.3–42.1)"}}],
        "labels": ["Exact Match", "Execution Accuracy"],
        "training": {"seed": 3407},
        "data": {"train.jsonl": "39867ec6"},
    }
    found = behaviour([call(n=1)] * 6, [call(n=2)] * 6)
    write_card(tmp_path / "README.md", facts, to="gguf", use="llama-server -m x", proven="same for 5 rows", found=found)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlicense: gemma\npipeline_tag:")
    assert "GEMMA_TERMS.html, NOTICE" in card and "Gemma is provided under the terms" in card
    assert "| Exact Match | 36.0% (30.3–42.1) |" in card and "| Execution Accuracy | – |" in card
    assert "- Prompts: same for 5 rows." in card and "the run is better than the export" in card
    assert "Answers that changed: 6 of 6" in card and "- `train.jsonl` 39867ec6" in card and "- seed: 3407" in card


@pytest.mark.slow
def test_a_merged_model_is_asked_what_its_run_was(tiny_model: Path, tmp_path: Path) -> None:
    model = [f"model.name={tiny_model}", "model.backend=hf", "train.max_steps=4", "eval.max_new_tokens=16"]
    finetune(tmp_path, "train", "cpu", "name=tiny", *TINY, *model)
    words = ["-m", "eval", "run", "tiny", "--split", "validation", "--no-base"]
    done = forked.run(words, cwd=tmp_path, env=environment(tmp_path), unsloth=False)
    assert done.returncode == 0, done.stdout + done.stderr
    said = finetune(tmp_path, "export", "tiny", "--to", "merged", "--behaviour", "--limit", "5")
    folder = tmp_path / "runs" / "tiny" / "export" / "merged" / "behaviour"
    rows = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in folder.glob("*.jsonl")}
    assert rows["generations.jsonl"] == 5 and f"{rows['changed.jsonl']} of 5 answers changed" in said
    card = (folder.parent / "README.md").read_text(encoding="utf-8")
    assert "Exact Match, 5 rows of validation" in card and f"Answers that changed: {rows['changed.jsonl']} of 5" in card
