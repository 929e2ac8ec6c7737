"""Evaluating a run: which rows, what it leaves, and that a killed evaluation goes on."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.load import part_of
from tests import forked
from tests.tiny import FIXTURES, TINY, environment, finetune
from tooltune.errors import InputError
from tooltune.files import read_jsonl, write_jsonl


def evaluate(cwd: Path, *arguments: str, expect: int = 0) -> str:
    done = forked.run(["-m", "eval", "run", *arguments], cwd=cwd, env=environment(cwd), unsloth=False)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A folder with a tiny run, evaluated on its validation rows with base and tuned model."""
    cwd = tmp_path_factory.mktemp("evaluated")
    finetune(cwd, "train", "cpu", "name=run", *TINY, f"model.name={tiny_model}", "train.epochs=1", "model.backend=hf")
    evaluate(cwd, "run", "--split", "validation")
    return cwd


@pytest.mark.slow
def test_figures_answers_and_report(evaluated: Path) -> None:
    folder = evaluated / "runs" / "run" / "eval" / "validation"
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["tuned"]["n"] == metrics["base"]["n"] == 8 and metrics["compare"]["n"] == 8
    assert metrics["probe"] is None and metrics["settings"]["max_new_tokens"] == 384
    for name in ("generations.jsonl", "generations.base.jsonl"):
        rows = [row for _, row in read_jsonl(folder / name)]
        assert set(rows[0]) == {"settings"} and len(rows) == 9
        assert set(rows[1]) == {"id", "question", "text", "tokens", "truncated", "seconds"}
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "tiny-3" in page and "<title>" in page


@pytest.mark.slow
def test_killed_evaluation_goes_on(evaluated: Path) -> None:
    path = evaluated / "runs" / "run" / "eval" / "validation" / "generations.jsonl"
    whole = path.read_text(encoding="utf-8")
    lines = whole.splitlines(keepends=True)
    path.write_text("".join(lines[:4]) + lines[4][:15], encoding="utf-8")
    said, found = evaluated_here(evaluated / "runs" / "run", split="validation", base=False, batch=8)
    assert said == ["tuned: 3 answers are there already, 5 to go"]
    again = path.read_text(encoding="utf-8").splitlines(keepends=True)
    assert again[:4] == lines[:4]  # nothing is asked twice
    assert sorted(json.loads(line)["id"] for line in again[1:]) == sorted(json.loads(line)["id"] for line in lines[1:])
    rows = [json.loads(line) for line in again[1:]]
    assert found["seconds"]["tuned"] == pytest.approx(sum(row["seconds"] for row in rows), abs=0.06)
    for row in rows:
        row["seconds"] = 2.5
    for kept in (rows, [{k: v for k, v in row.items() if k != "seconds"} for row in rows]):  # with, and as of old
        write_jsonl(path, [json.loads(again[0]), *kept])
        _, found = evaluated_here(evaluated / "runs" / "run", split="validation", base=False, batch=8)
        assert found["seconds"]["tuned"] == 20.0, "scored again from kept answers"


@pytest.mark.slow
def test_limited_evaluation_leaves_the_whole_one_as_it_was(evaluated: Path) -> None:
    """A look at two rows once took the place of the whole split's figures, and stood in the README next."""
    folder = evaluated / "runs" / "run" / "eval"
    kept = {path.name: path.read_bytes() for path in (folder / "validation").iterdir()}
    said = evaluate(evaluated, "run", "--split", "validation", "--limit", "2")
    assert {path.name: path.read_bytes() for path in (folder / "validation").iterdir()} == kept
    metrics = json.loads((folder / "validation-limit-2" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["rows"] == {"scored": 2, "of": 8} and metrics["tuned"]["n"] == 2
    assert "Only 2 of 8 rows" in said and "validation-limit-2" in "".join(said.split())
    page = (folder / "validation-limit-2" / "report.html").read_text(encoding="utf-8")
    assert "2 of the 8 rows" in page and "of the 8 rows" not in kept["report.html"].decode()
    _, all_of_it = evaluated_here(evaluated / "runs" / "run", split="validation", base=False, limit=8)
    assert all_of_it["rows"] == {"scored": 8, "of": 8}
    assert sorted(path.name for path in folder.iterdir()) == ["validation", "validation-limit-2"]


@pytest.mark.slow
def test_constrained_evaluation_has_its_own_folder(evaluated: Path) -> None:
    if not find_spec("xgrammar"):
        said = evaluate(evaluated, "run", "--split", "validation", "--constrained", expect=2)
        assert "xgrammar is not installed" in said and ".[constrained]" in said
        return
    folder = evaluated / "runs" / "run" / "eval"
    kept = {path.name: path.read_bytes() for path in (folder / "validation").iterdir()}
    _, metrics = evaluated_here(evaluated / "runs" / "run", split="validation", base=False, constrained=True)
    assert {path.name: path.read_bytes() for path in (folder / "validation").iterdir()} == kept
    assert metrics["split"] == "validation-constrained" and metrics["settings"]["constrained"] is True
    said, _ = evaluated_here(evaluated / "runs" / "run", split="validation", base=False, constrained=True)
    assert not said and metrics["tuned"]["n"] == 8


@pytest.mark.slow
def test_other_settings_start_anew_and_the_old_answers_stay(evaluated: Path) -> None:
    path = evaluated / "runs" / "run" / "eval" / "validation" / "generations.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    head = json.loads(lines[0])
    head["settings"]["max_new_tokens"] = 7
    path.write_text(json.dumps(head) + "\n" + "".join(lines[1:]), encoding="utf-8")
    said, _ = evaluated_here(evaluated / "runs" / "run", split="validation", base=False)
    assert said == ["tuned: asking again: max_new_tokens changed (the old answers: generations.old.jsonl)"]
    assert next(row for _, row in read_jsonl(path))["settings"]["max_new_tokens"] == 384
    old = path.with_name("generations.old.jsonl").read_text(encoding="utf-8")
    assert old.splitlines()[1:] == "".join(lines[1:]).splitlines()


@pytest.mark.slow
def test_request_that_was_changed_is_asked_anew(evaluated: Path, tmp_path: Path) -> None:
    run = copied(evaluated, tmp_path, validation=tmp_path / "validation.jsonl")
    rows = [row for _, row in read_jsonl(FIXTURES / "validation.jsonl")]
    rows[2]["messages"][-2]["content"] += " 지금"
    write_jsonl(tmp_path / "validation.jsonl", rows)
    said, _ = evaluated_here(run, split="validation", base=False)
    assert said == [
        "tuned: 1 answers are to requests that were changed since: asking those again",
        "tuned: 7 answers are there already, 1 to go",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_one_file_is_evaluated_on_its_hashed_part(evaluated: Path, tmp_path: Path, split: str) -> None:
    both = [row for name in ("train", "validation") for _, row in read_jsonl(FIXTURES / f"{name}.jsonl")]
    own = [row | {"meta": row["meta"] | {"bucket": "T1"}} for row in both]
    write_jsonl(tmp_path / "mine.jsonl", own)
    run = copied(evaluated, tmp_path, train=tmp_path / "mine.jsonl", validation=None, test=None, limit=12)
    _, metrics = evaluated_here(run, split=split, base=False)
    part = [row["id"] for row in own if part_of(row["id"]) == split]
    assert [row["id"] for row in metrics["tuned"]["samples"]] == part[: 12 if split == "train" else None] != []
    assert (metrics["probe"] is None) == (split == "train")


@pytest.mark.slow
def test_probe_copies_only_from_the_rows_that_trained(evaluated: Path, tmp_path: Path) -> None:
    row = next(row for _, row in read_jsonl(FIXTURES / "validation.jsonl")) | {"meta": {"bucket": "T1"}}
    others = [row for _, row in read_jsonl(FIXTURES / "train.jsonl")][:2]
    write_jsonl(tmp_path / "train.jsonl", [*others, row | {"id": "twin", "messages": spoken(row, "!")}])
    write_jsonl(tmp_path / "validation.jsonl", [row])
    for limit, solved in ((2, 0), (None, 1)):
        run = copied(
            evaluated,
            tmp_path / str(limit),
            train=tmp_path / "train.jsonl",
            validation=tmp_path / "validation.jsonl",
            limit=limit,
        )
        _, metrics = evaluated_here(run, split="validation", base=False)
        assert metrics["probe"] == {"solved": solved, "n": 1, "by_bucket": {"T1": float(solved)}}


@pytest.mark.slow
def test_file_is_scored_in_a_folder_of_its_own(evaluated: Path, tmp_path: Path) -> None:
    rows = [row for _, row in read_jsonl(FIXTURES / "validation.jsonl")]
    write_jsonl(tmp_path / "asked.jsonl", [row | {"id": f"asked-{row['id']}"} for row in rows[:3]])
    run = copied(evaluated, tmp_path)
    before = {path.name for path in (run / "eval").iterdir()}
    _, metrics = evaluated_here(run, data=tmp_path / "asked.jsonl", base=False)
    assert metrics["split"] == "asked" and metrics["tuned"]["samples"][0]["id"] == "asked-tiny-32"
    assert {path.name for path in (run / "eval").iterdir()} == before | {"asked"}
    names = {path.name for path in (run / "eval" / "asked").iterdir()}
    assert names == {"generations.jsonl", "metrics.json", "report.html"}
    other = tmp_path / "other" / "asked.jsonl"
    write_jsonl(other, rows[3:4])
    with pytest.raises(InputError, match="evaluation of this name is that of"):
        evaluated_here(run, data=other, base=False)
    (tmp_path / "asked.jsonl").unlink()  # it was moved
    assert evaluated_here(run, data=other, base=False)[1]["rows"]["of"] == 1
    write_jsonl(tmp_path / "test.jsonl", rows[:1])  # a split's name: it must not take the split's place
    evaluated_here(run, data=tmp_path / "test.jsonl", base=False)
    assert (run / "eval" / f"{tmp_path.name}-test" / "metrics.json").is_file() and not (run / "eval" / "test").exists()


@pytest.mark.parametrize("stem", ["test", "Test", "test-limit-5", "validation-constrained"])
def test_a_file_takes_no_splits_place(stem: str) -> None:
    from eval.run import file_name

    assert file_name(Path("mine") / f"{stem}.jsonl") == f"mine-{stem}" and file_name(Path("tested.jsonl")) == "tested"


@pytest.mark.slow
def test_file_with_rows_that_trained_measures_nothing(evaluated: Path) -> None:
    said = evaluate(evaluated, "run", "--data", str(FIXTURES / "train.jsonl"), expect=2)
    assert "32 rows are among the training rows" in said
    said = evaluate(evaluated, "run", "--split", "train", "--data", str(FIXTURES / "validation.jsonl"), expect=2)
    assert "leave out --split" in said


def spoken(row: dict[str, Any], end: str) -> list[dict[str, Any]]:
    """The row's turns, the last request with `end` at its end."""
    *before, user, answer = row["messages"]
    return [*before, user | {"content": user["content"] + end}, answer]


def copied(evaluated: Path, where: Path, **data: Any) -> Path:
    """A copy of the evaluated run whose config names other data."""
    run = where / "run"
    shutil.copytree(evaluated / "runs" / "run", run)
    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    config["data"] |= {name: str(value) if isinstance(value, Path) else value for name, value in data.items()}
    (run / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return run


def evaluated_here(run: Path, **options: Any) -> tuple[list[str], dict[str, Any]]:
    """What an evaluation in this process said, and its metrics."""
    from eval.run import evaluate_run

    said: list[str] = []
    return said, evaluate_run(run, **options, say=lambda line: said.append(str(line)), tick=lambda name, done, of: None)


@pytest.mark.slow
def test_the_config_names_the_domain_that_carries_calls_out(evaluated: Path, tmp_path: Path) -> None:
    rows = Path(__file__).parents[2] / "examples" / "thermostat.jsonl"
    run = copied(evaluated, tmp_path, domain="examples.thermostat:Thermostat")
    _, metrics = evaluated_here(run, data=rows, base=False)
    assert metrics["execution"]["tuned"]["n"] == 6
    assert metrics["execution"]["tuned"]["outcomes"]["no_call"] == 6, "a tiny model calls nothing"
    run = copied(evaluated, tmp_path / "wrong", domain="no_such_module:Domain")
    with pytest.raises(InputError, match="no_such_module") as e:
        evaluated_here(run, data=rows, base=False)
    assert e.value.where == "data.domain"


@pytest.mark.slow
def test_split_that_is_not_there(evaluated: Path) -> None:
    assert "no test rows" in evaluate(evaluated, "run", expect=2)
    with pytest.raises(InputError, match="unknown split 'dev'"):
        evaluated_here(evaluated / "runs" / "run", split="dev")


@pytest.mark.slow
def test_run_that_is_not_there(evaluated: Path) -> None:
    assert "no run 'none'" in evaluate(evaluated, "none", expect=2)
