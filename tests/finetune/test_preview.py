"""What the model sees, in the terminal and as a page: hostile rows stay text, each token has its role's colour."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from data.load import load_records
from data.record import Record, tool_call
from data.render import Role, render, render_all
from data.template import Template, project_template
from finetune.inspect.preview import Shown, show, to_html, to_terminal
from finetune.rows import describe_rows
from finetune.words import phrase
from tests.eval.chromium import browser, find_chromium
from tests.eval.report_samples import HOSTILE
from tests.tiny import FIXTURES, make_tokenizer
from tooltune.words import Phrase

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"properties": {"x": {"type": "string"}}}}}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory):
    return make_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def template(tokenizer) -> Template:
    return project_template(tokenizer, "signature")


def template_line(reason: str) -> Phrase:
    """What `prepare` says of the project's template."""
    return phrase("rows.template", origin=phrase("origin.project"), family="hermes", reason=reason)


def hostile(i: int, text: str) -> Record:
    text = text[:200].encode("utf-8", "replace").decode()
    calls = [tool_call("f", {"x": text})]
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": text, "tool_calls": calls}]
    return Record(f"{i}{text}", messages, [TOOL])


@pytest.fixture(scope="module")
def rows(tokenizer, template) -> list[Shown]:
    records = load_records(FIXTURES / "train.jsonl")[:2] + [hostile(i, text) for i, text in enumerate(HOSTILE)]
    return [show(render(record, tokenizer, template), tokenizer) for record in records]


@pytest.fixture(scope="module")
def page(rows: list[Shown], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("preview") / "preview.html"
    to_html(rows, [template_line(HOSTILE[0])], path)
    return path


def test_pieces_join_to_the_row_and_hangul_stays_whole(rows: list[Shown], tokenizer, template) -> None:
    record = load_records(FIXTURES / "train.jsonl")[0]
    example = render(record, tokenizer, template)
    assert "".join(piece.text for piece in rows[0].pieces) == tokenizer.decode(example.input_ids)
    assert [token for piece in rows[0].pieces for token in piece.tokens] == example.input_ids
    hangul = [piece for piece in rows[0].pieces if re.fullmatch("[가-힣]", piece.text)]
    assert hangul and all(len(piece.tokens) == 3 for piece in hangul)
    assert not any("\ufffd" in piece.text for piece in rows[0].pieces)


def test_roles_are_those_of_the_loss(rows: list[Shown]) -> None:
    def said(role: Role) -> str:
        return "".join(piece.text for piece in rows[2].pieces if piece.role is role)

    assert said(Role.NAME) == "f" and said(Role.TEXT) == HOSTILE[0]
    assert said(Role.ARGUMENTS).startswith('{"x"') and said(Role.FORMAT).endswith("<|im_end|>")
    assert sum(len(piece.tokens) for piece in rows[2].pieces if piece.role) == rows[2].supervised
    assert sum(share["width"] for share in rows[2].shares()) == pytest.approx(100, abs=0.1)


def test_hostile_rows_stay_text(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text and "<img" not in text and "&lt;" in text
    assert not {"\u2028", "\u202e", "\x07", "\x00"} & set(text)
    assert "7 * 7" in re.sub(r"</?span[^>]*>", "", text) and "unsafe" not in text and " style=" not in text


def test_page_and_terminal_tell_lengths_dropped_rows_and_the_template(tokenizer, template, tmp_path: Path) -> None:
    records = load_records(FIXTURES / "train.jsonl")
    rendered = render_all(records, tokenizer, template, max_length=320)
    facts = [template_line("why"), describe_rows("train", rendered, 320)]
    assert rendered.dropped and f"{len(rendered.dropped)} longer than 320 tokens were left out" in str(facts[1])
    console = Console(width=200, record=True, file=(tmp_path / "out").open("w", encoding="utf-8"))
    shown = [show(rendered.examples[0], tokenizer)]
    to_terminal(shown, facts, console)
    to_html(shown, facts, tmp_path / "p.html")
    terminal, html = console.export_text(), (tmp_path / "p.html").read_text(encoding="utf-8")
    for text in (terminal, html):
        assert all(str(fact) in text for fact in facts)
        assert f"{shown[0].tokens} tokens, {shown[0].supervised} trained" in text


def test_what_is_said_of_the_rows_is_korean_too(tokenizer, template, page: Path) -> None:
    rendered = render_all(load_records(FIXTURES / "train.jsonl"), tokenizer, template, max_length=320)
    korean = describe_rows("validation", rendered, 320).text("ko")
    assert korean.startswith("검증: ") and f"320토큰보다 긴 {len(rendered.dropped)}행은 뺐음: " in korean
    assert "rows" not in korean and "longest" not in korean
    assert template_line("why").text("ko") == "채팅 템플릿: 이 프로젝트의 것 (hermes). why"
    assert str(template_line("why")) == "Chat template: project (hermes); why"
    console = Console(width=200, record=True, file=io.StringIO())
    to_terminal([show(rendered.examples[0], tokenizer)], [describe_rows("train", rendered, 320)], console, "ko")
    terminal = console.export_text()
    assert "학습: " in terminal and "도구 이름" in terminal and "배우는 것" in terminal and "trained" not in terminal
    text = page.read_text(encoding="utf-8")
    assert "도구 이름" in text and ">arguments</span>" in text and ">masked</span>" not in text


@pytest.mark.skipif(not find_chromium(), reason="no chromium, chromium-browser or google-chrome on PATH")
def test_page_in_a_browser(page: Path, rows: list[Shown], tmp_path: Path) -> None:
    with browser(tmp_path) as tab:
        for width in (1280, 390):
            tab.look(width)
            tab.open(page)
            assert tab.run("document.documentElement.scrollWidth") <= width
        assert tab.run("document.querySelectorAll('section.row').length") == len(rows)
        assert tab.run("typeof window.hacked") == "undefined"
        colours = {
            role: tab.run(f"getComputedStyle(document.querySelector('pre .{role}')).backgroundColor")
            for role in ("masked", "name", "arguments", "format", "text")
        }
        assert len(set(colours.values())) == 5
        assert "모델이 보는 것" in tab.run("document.querySelector('h1').innerText")
        tab.run("document.querySelector('label[for=english]').click()")
        assert tab.run("document.querySelector('h1').innerText") == "What the model sees, and what of it is trained"
        assert tab.errors == []
        assert [url for url in tab.requests if not url.startswith(("file:", "data:,"))] == []
