"""The token view: its losses are those of the run's evaluation, and its page shows any text as it is."""

import io
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from data.render import Role
from finetune.history import read_history
from finetune.inspect.explain_page import _probability, to_html
from finetune.inspect.explain_terminal import to_terminal
from finetune.inspect.explained import Explained, Guess, TokenPart, _by_role, _worst, explain
from finetune.inspect.subject import Subject, load_weights, read_subject
from tests.eval.chromium import browser, find_chromium
from tests.tiny import FIXTURES, TINY, finetune
from tooltune.errors import InputError
from tooltune.files import read_jsonl


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """Two epochs of the tiny model, 4-bit weights and float32 activations."""
    cwd = tmp_path_factory.mktemp("explain")
    settings = [*TINY, f"model.name={tiny_model}", "model.backend=hf", "train.epochs=2", "report.tensorboard=false"]
    finetune(cwd, "train", "cpu", "name=explained", *settings)
    return cwd / "runs" / "explained"


@pytest.fixture(scope="module")
def rows(run: Path) -> list[Explained]:
    """Every validation row, explained by the best adapter."""
    ids = [row["id"] for _, row in read_jsonl(FIXTURES / "validation.jsonl")]
    subjects = [read_subject(run, row) for row in ids]
    model = load_weights(subjects[0], print)
    return [explain(model, subject.tokenizer, subject.example) for subject in subjects]


@pytest.mark.slow
def test_mean_over_the_validation_rows_is_the_runs_eval_loss(run: Path, rows: list[Explained]) -> None:
    history = read_history(run)
    logged = min(history.epochs, key=lambda row: row["eval_loss"])
    tokens = sum(row.supervised for row in rows)
    assert read_subject(run).evaluation == logged and read_subject(run).evaluation_tokens == tokens
    assert sum(row.total for row in rows) / tokens == pytest.approx(logged["eval_loss"], abs=1e-4)
    for role in ("name", "arguments", "format", "text"):
        sums = [part for row in rows for part in row.roles if part.role.name.lower() == role]
        mean = sum(part.total for part in sums) / sum(part.tokens for part in sums)
        assert mean == pytest.approx(logged[f"eval_loss_{role}"], abs=1e-4)


@pytest.mark.slow
def test_a_row_adds_up(rows: list[Explained]) -> None:
    for row in rows:
        guesses = [guess for part in row.parts for guess in part.guesses]
        assert len(guesses) == row.supervised
        assert sum(guess.loss for guess in guesses) == pytest.approx(row.total)
        assert sum(part.adds for part in row.roles) == pytest.approx(row.loss)
        assert [worst.guess.loss for worst in row.worst] == sorted((g.loss for g in guesses), reverse=True)[:10]
        for guess in guesses:
            assert guess.p == pytest.approx(math.exp(-guess.loss)) and guess.p <= guess.choice_p + 1e-6
            assert (guess.rank == 1) == (guess.p >= guess.choice_p - 1e-9)


@pytest.mark.slow
def test_the_base_model_and_the_defaults(run: Path, rows: list[Explained]) -> None:
    subject = read_subject(run, adapter="base")
    assert subject.example.id == rows[0].id, "the first validation row"
    assert subject.evaluation is None and read_subject(run, split="train").evaluation is None
    base = explain(load_weights(subject, print), subject.tokenizer, subject.example)
    assert base.loss > rows[0].loss + 0.5, "training made it lower"
    assert read_subject(run, adapter="last").evaluation == read_history(run).epochs[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"row": "no-such-row"}, "no row 'no-such-row' in the validation split"),
        ({"adapter": "first"}, "no 'first'"),
        ({"split": "holdout"}, "unknown split 'holdout'"),
        ({"split": "test"}, "the run has no test rows"),
    ],
)
def test_wrong_input_is_said(run: Path, arguments: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_subject(run, **arguments)  # type: ignore[arg-type]


# ---- how it is shown: a row made by hand, with text that would like to be markup ----

HOSTILE = '</script><img src=x onerror="document.title=1">[red]'


def made() -> tuple[Explained, Subject]:
    sure = Guess(math.exp(-0.02), 0.02, 1, "{", math.exp(-0.02))
    wrong = Guess(0.05, -math.log(0.05), 3, HOSTILE, 0.6)
    parts = [
        TokenPart("시스템 " * 200 + HOSTILE, Role.MASKED),
        TokenPart('{"name": "', Role.FORMAT, (sure,)),
        TokenPart("하", Role.NAME, (sure, wrong)),
        TokenPart(HOSTILE, Role.ARGUMENTS, (sure,)),
        TokenPart("\u202e끝", Role.TEXT, (Guess(0.4, -math.log(0.4), 2, "", 0.5),)),
    ]
    total = sum(part.loss for part in parts)
    row = Explained("row<b>1", parts, 5, total, _by_role(parts, 5), _worst(parts))
    evaluation = {"eval_loss": 0.2, "epoch": 3.0, "eval_tokens_name": 400, "eval_tokens_format": 600}
    example: Any = SimpleNamespace()
    return row, Subject(Path("runs/<i>run"), "best", "validation", example, None, evaluation)


@pytest.mark.parametrize("width", [80, 120])
def test_terminal(width: int) -> None:
    row, subject = made()
    console = Console(width=width, file=io.StringIO(), highlight=False)
    to_terminal(row, subject, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    flat = " ".join(text.split())
    assert f"Loss of this row: {row.loss:.4f} = {row.total:.3f} / 5 tokens" in flat
    assert f"{row.total:.3f} / 1,000 = {row.total / 1000:.5f}" in flat
    assert "[red]" in text and "<img src=x" in flat, "shown as it is, not read as markup"
    assert "‹U+202E›" in text and ("(token 2 of 2)" in flat or width == 80)
    assert all(len(line) <= width for line in text.splitlines())


def test_terminal_in_korean() -> None:
    row, subject = made()
    console = Console(width=120, file=io.StringIO(), highlight=False)
    to_terminal(row, subject, console, "ko")
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert f"이 문항의 loss: {row.loss:.4f} = {row.total:.3f} / 5토큰" in text
    assert "도구 이름" in text and f"loss가 가장 큰 토큰 {len(row.worst)}개" in text
    assert not any(english in text for english in ("token", "role", "Loss", "characters"))


def test_page_holds_no_foreign_markup_and_needs_nothing(tmp_path: Path) -> None:
    row, subject = made()
    to_html(row, subject, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<img" not in page and "<b>1" not in page and "<i>run" not in page
    assert "http://" not in page and "https://" not in page and "‹U+202E›" in page
    assert page.count("data-i=") == 4 and '<details class="masked">' in page


def test_probabilities_have_one_format() -> None:
    assert [_probability(p) for p in (0.981, 0.9903, 1.0, 0.004, 0.00001)] == [
        "98.10%", "99.03%", "100.00%", "0.40%", "< 0.01%"
    ]  # fmt: skip


@pytest.mark.skipif(not find_chromium(), reason="no Chromium")
def test_a_tokens_figures_appear_beside_it(tmp_path: Path) -> None:
    row, subject = made()
    to_html(row, subject, tmp_path / "page.html", lang="en")
    with browser(tmp_path / "profile") as page:
        page.look(900)
        page.open(tmp_path / "page.html")
        assert page.run("document.getElementById('tip').hidden")
        page.run("document.querySelectorAll('.row .token')[1].focus()")
        shown = page.run("document.getElementById('tip').innerText")
        assert "tool name" in shown and "5.00%" in shown and "2.996" in shown and HOSTILE in shown
        page.run("document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'End', bubbles: true}))")
        assert "(part of a character)" in page.run("document.getElementById('tip').innerText")
        page.run("document.querySelector('#language [value=ko]').click()")
        assert page.run("document.querySelector('h1').innerText").startswith("이 문항의 loss는")
        assert not page.errors and page.run("document.title") != "1"
