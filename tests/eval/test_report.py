"""The report page: what it says, that no text can run in it, and that it works in a browser."""

import json
import re
from pathlib import Path

import pytest
from chromium import browser, find_chromium
from report_samples import HOSTILE, answers, executed_by, hermes, hostile_records, metrics_of

from data import InputError, Record
from eval import ToolCall
from eval.generate import Output
from eval.parse import render_calls
from eval.report import write_report
from eval.report.differences import pair_rows
from eval.report.words import words
from eval.scoring.gold import read_gold
from eval.scoring.match import match_calls
from eval.scoring.schema import parameters_place
from tooltune.files import read_jsonl
from tooltune.page.text import script_json, shorten, visible

TEST_SPLIT = Path(__file__).parents[2] / "data" / "structural" / "test.jsonl"


@pytest.fixture(scope="module")
def records():
    return [Record.from_dict(row) for _, row in read_jsonl(TEST_SPLIT)]


@pytest.fixture(scope="module")
def outputs(records):
    return {side: {r.id: answers(r, i, side == "base") for i, r in enumerate(records)} for side in ("tuned", "base")}


@pytest.fixture(scope="module")
def report(records, outputs, tmp_path_factory):
    """The page of a whole test split with a base model and the probe."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    probe = {"solved": 28, "n": 250, "by_bucket": {"T1": 0.1, "T2": 0.0625, "T3": 0.0, "T4": 0.0, "T5": 0.36}}
    write_report(path, metrics_of(records, outputs, probe), records, outputs)
    return path


@pytest.fixture(scope="module")
def hostile_report(tmp_path_factory):
    records, outputs = hostile_records()
    metrics = metrics_of(records, outputs) | {
        "run": HOSTILE[1],
        "model": HOSTILE[2],
        "settings": {HOSTILE[0]: HOSTILE[4]},
    }
    path = tmp_path_factory.mktemp("hostile") / "report.html"
    write_report(path, metrics, records, outputs)
    return path


def embedded(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


def test_page_is_small_and_asks_for_nothing(report):
    text = report.read_text(encoding="utf-8")
    assert report.stat().st_size < 3_000_000
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
    assert "default-src &#39;none&#39;" in policy and "unsafe" not in policy and "http" not in policy
    assert not re.findall(r'(?:src|href|action)="(?!data:,")[^"]*"', text.split('id="data"')[0])
    assert "url(" not in text and "@import" not in text
    assert ' style="' not in text and " onclick=" not in text


def test_execution_stands_beside_the_other_figures(report, records, outputs, tmp_path):
    ran = executed_by(records, outputs["tuned"])
    text = report.read_text(encoding="utf-8").split('id="data"')[0]
    assert text.count(words()["execution"][1]) == 2 and words()["execution.what"][0] in text
    assert f'{ran["strict"]["count"]}<span class="faint"> / {ran["n"]}</span>' in text
    assert words()["execution.outcomes"][1].format(**ran["outcomes"]) in text
    assert words()["compare.rows"][0].format(n=ran["n"]) in text
    metrics = metrics_of(records[:3], {"tuned": outputs["tuned"]}) | {"execution": None}
    write_report(tmp_path / "r.html", metrics, records[:3], outputs)
    assert words()["execution"][1] not in (tmp_path / "r.html").read_text(encoding="utf-8").split('id="data"')[0]


def test_rows_with_a_call_and_rows_without_stand_apart(report, records, outputs, tmp_path):
    head = metrics_of(records, outputs)["tuned"]["headline"]
    called, silent, balanced = (head[key] for key in ("must_call_exact", "abstention", "balanced"))
    text = report.read_text(encoding="utf-8").split('id="data"')[0]
    for key in ("must_call_exact", "abstention"):
        assert text.count(f">{words()[key][1]}<") == 2, "among the figures and in the comparison"
    assert text.count(f">{words()['balanced'][1]}<") == 1
    assert f'<p class="big">{100 * balanced["value"]:.1f}%</p>' in text
    assert f'{called["count"]}<span class="faint"> / 200</span>' in text and "None" not in text
    assert all(words()[f"slices.{key}"][1] in text for key in ("must_call_exact", "abstention", "balanced"))
    counts = {"due": 200, "called": called["count"], "none_due": 50, "silent": silent["count"]}
    shares = {"called_value": f"{100 * called['value']:.1f}%", "silent_value": f"{100 * silent['value']:.1f}%"}
    assert words()["verdict.kinds"][1].format(**counts, **shares) in text
    calls = [r for r in records if r.gold][:3]
    write_report(tmp_path / "r.html", metrics_of(calls, outputs | {"base": outputs["tuned"]}), calls, outputs)
    assert f">{words()['abstention'][1]}<" not in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_every_sample_is_there_with_its_reason(report, records):
    entries = embedded(report)["samples"]
    assert [e["id"] for e in entries] == [r.id for r in records]
    for side in ("tuned", "base"):
        assert all(bool(e[side]["reasons"]) != e[side]["right"] for e in entries)
    found = {reason for e in entries for side in ("tuned", "base") for reason in e[side]["reasons"]}
    assert found >= {
        "wrong_tool", "wrong_value", "missing_argument", "missing_call", "unknown_tool", "unknown_argument", "not_json",
        "no_call", "cut_off", "format", "should_ask", "should_decline",
    }  # fmt: skip


def test_every_sentence_has_two_languages():
    assert all(len(both) == 2 and all(isinstance(x, str) and x for x in both) for both in words().values())
    holes = [[sorted(re.findall(r"\{\w+\}", text)) for text in both] for both in words().values()]
    assert all(korean == english for korean, english in holes)


def test_hostile_texts_stay_text(hostile_report):
    text = hostile_report.read_text(encoding="utf-8")
    assert text.count("<script") == 2 and text.count("</script") == 2
    assert "<img" not in text and "&lt;img" in text
    assert embedded(hostile_report)["samples"][3]["request"][0] == HOSTILE[3]
    assert not {"\u2028", "\u202e", "\x07", "\x00"} & set(text)
    assert hostile_report.stat().st_size < 1_000_000


def test_text_is_made_visible_and_short():
    assert visible("a\u202eb\x00\ud800\n") == "a‹U+202E›b‹U+0000›‹U+D800›\n"
    assert visible("👩‍🔧 한글") == "👩‍🔧 한글"
    assert shorten("abcdef", 4) == ("abcd", 2)
    assert script_json({"a": "</script>\u2028&"}) == '{"a":"\\u003c/script\\u003e\\u2028\\u0026"}'


PLACE = parameters_place(
    {
        "type": "object",
        "properties": {
            "ids": {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
            "at": {"type": "object", "properties": {"x": {"type": "number"}, "y": {"type": "number"}}},
            "loads": {"type": "array", "items": {"type": "object", "properties": {"v": {"type": "number"}}}},
            "unit": {"type": "string", "default": "kN"},
        },
    }
)


def rows(gold, got, acceptable=None):
    calls = read_gold([{"name": "f", "arguments": gold}], {"f": acceptable} if acceptable else None)
    (pair,) = match_calls(calls, [ToolCall("f", got)], {"f": PLACE})
    return {row["path"]: row for row in pair_rows(pair, PLACE)}


def test_differences_name_the_place():
    found = rows(
        {"at": {"x": 1, "y": 2}, "loads": [{"v": 1}, {"v": 2}]}, {"at": {"x": 1.0, "y": 3}, "loads": [{"v": 1}]}
    )
    assert {path: row["status"] for path, row in found.items()} == {
        "at.x": "same",
        "at.y": "differs",
        "loads[0].v": "same",
        "loads[1]": "missing",
    }
    assert found["at.y"]["gold"] == [["2", True]] and found["at.y"]["got"] == [["3", True]]


def test_set_like_lists_mark_the_odd_items():
    row = rows({"ids": [1, 2, 3]}, {"ids": [3, 1, 4]})["ids"]
    assert [part for part, marked in row["gold"] if marked] == ["2"]
    assert [part for part, marked in row["got"] if marked] == ["4"]
    assert rows({"ids": [1, 2]}, {"ids": [2, 1]})["ids"]["status"] == "same"


def test_defaults_alternatives_and_inventions():
    assert rows({"unit": "kN"}, {})["unit"]["status"] == "default"
    assert rows({}, {"unit": "kN"})["unit"]["status"] == "default"
    assert rows({}, {"unit": "N"})["unit"]["status"] == "extra"
    assert rows({}, {"colour": "red"})["colour"]["status"] == "unknown"
    assert rows({"unit": "N"}, {"unit": "t"}, {"unit": ["kgf"]})["unit"]["gold"] == [['"N" | "kgf"', True]]


def test_a_looping_or_bottomless_answer_stays_small(tmp_path, records):
    names = "".join(f'<tool_call>\n{{"name": "f{i}", "arguments": {{}}}}\n</tool_call>' for i in range(500))
    deep = '<tool_call>\n{"name": "f", "arguments": {"x": ' + "[" * 90 + "]" * 90 + "}}\n</tool_call>"
    same = render_calls([ToolCall("undo", {})]) * 2000
    texts = dict(zip((r.id for r in records), (names, deep, same), strict=False))
    out = {"tuned": {id: Output(text, 9, True) for id, text in texts.items()}}
    write_report(tmp_path / "r.html", metrics_of(records[:3], out), records[:3], out)
    entries = embedded(tmp_path / "r.html")["samples"]
    assert [len(e["tuned"]["pairs"]) for e in entries] == [20, 1, 20]
    assert (tmp_path / "r.html").stat().st_size < 200_000


def test_a_thousand_tools_are_cut_in_the_tables(tmp_path):
    rows = [Record(str(i), call_row(f"tool{i}"), [named(f"tool{i}")], {}) for i in range(1000)]
    out = {
        "tuned": {
            r.id: Output(hermes({"name": "other" if i < 9 else f"tool{i}", "arguments": {}}), 9, False)
            for i, r in enumerate(rows)
        }
    }
    write_report(tmp_path / "r.html", metrics_of(rows, out), rows, out)
    text = (tmp_path / "r.html").read_text(encoding="utf-8").split('id="data"')[0]
    assert text.count("<tr") < 300 and "<span>other</span>" in text and "900" in text


def named(name):
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}


def call_row(name):
    call = {"type": "function", "function": {"name": name, "arguments": {}}}
    return [{"role": "user", "content": "go"}, {"role": "assistant", "content": None, "tool_calls": [call]}]


def test_no_base_no_probe_no_meta(tmp_path, records, outputs):
    bare = [Record(r.id, r.messages, r.tools, {}) for r in records[:3]]
    only = {"tuned": {r.id: outputs["tuned"][r.id] for r in bare}}
    write_report(tmp_path / "r.html", metrics_of(bare, only), bare, only, lang="en")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert '<html lang="en">' in text and "McNemar" not in text.split("<script")[0]
    assert all("base" not in e for e in embedded(tmp_path / "r.html")["samples"])


def test_an_empty_run_has_a_page(tmp_path):
    write_report(tmp_path / "r.html", metrics_of([], {"tuned": {}}), [], {"tuned": {}})
    assert words()["page.empty"][0] in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_an_unknown_family_is_refused(tmp_path, records, outputs):
    metrics = metrics_of(records[:1], {"tuned": outputs["tuned"]})
    with pytest.raises(InputError):
        write_report(tmp_path / "r.html", metrics | {"family": "nope"}, records[:1], {"tuned": outputs["tuned"]})


# ---- in a browser -------------------------------------------------------------------------------------------------

needs_browser = pytest.mark.skipif(not find_chromium(), reason="no chromium, chromium-browser or google-chrome on PATH")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def quiet(page):
    """The tab, watched: a test fails on any error in the console and on any request but the file itself."""
    page.errors.clear()
    yield page
    assert page.errors == []
    assert [r for r in page.requests if not r.startswith(("file:", "data:,"))] == []


SHOWN = "document.querySelector('#count b .' + document.documentElement.lang).textContent"
CARDS = "document.querySelectorAll('.sample').length"


@needs_browser
def test_filters_narrow_the_list(quiet, report):
    entries = embedded(report)["samples"]
    quiet.open(report)
    assert "250" in quiet.run(SHOWN) and quiet.run(CARDS) == 40
    quiet.run("document.getElementById('more').click()")
    assert quiet.run(CARDS) == 80
    quiet.run("document.querySelector('#filters button[value=wrong]').click()")
    wrong = sum(not e["tuned"]["right"] for e in entries)
    assert str(wrong) in quiet.run(SHOWN)
    quiet.open(report, "outcome=wrong&bucket=T5")
    assert quiet.run(CARDS) == sum(not e["tuned"]["right"] and e["bucket"] == "T5" for e in entries)
    quiet.run("document.querySelector('#count button').click()")
    assert "250" in quiet.run(SHOWN)
    quiet.open(report, "reason=wrong_value")
    assert quiet.run(CARDS) == sum("wrong_value" in e["tuned"]["reasons"] for e in entries)
    quiet.open(report)
    quiet.run("document.querySelector('#filters input').value = '절점 22번을'")
    quiet.run("document.querySelector('#filters input').dispatchEvent(new Event('input'))")
    assert quiet.run(CARDS) == 1


@needs_browser
def test_a_slice_and_a_confusion_lead_to_their_samples(quiet, report):
    entries = embedded(report)["samples"]
    quiet.open(report)
    quiet.run("document.querySelector('tr[data-kind=bucket][data-value=T4] button').click()")
    assert quiet.run(CARDS) == 30
    cell = "document.querySelector('#confusion .heat1 button, #confusion .heat2 button, #confusion .heat3 button')"
    pair = quiet.run(f"[{cell}.dataset.gold, {cell}.dataset.called]")
    quiet.run(f"{cell}.click()")
    assert quiet.run(CARDS) == sum(pair in e["tuned"]["confusion"] for e in entries) > 0


@needs_browser
def test_every_sample_opens(quiet, report):
    quiet.open(report, "outcome=wrong")
    quiet.run("document.querySelectorAll('.sample').forEach(d => d.open = true)")
    quiet.run("new Promise(r => setTimeout(r, 0))")
    assert quiet.run("document.querySelectorAll('.sample .body').length") == quiet.run(CARDS)
    quiet.run("document.querySelectorAll('.body .fold').forEach(d => d.open = true)")
    assert quiet.run("document.querySelectorAll('.got mark').length") > 0


@needs_browser
def test_language_and_theme_switch(quiet, report):
    quiet.open(report)
    assert "요청 가운데" in quiet.run("document.querySelector('h1').innerText")
    quiet.run("document.querySelector('#language button[value=en]').click()")
    assert "handled exactly right" in quiet.run("document.querySelector('h1').innerText")
    assert quiet.run("/[가-힣]/.test(document.querySelector('#filters').innerText)") is False
    assert quiet.run("document.querySelector('#filters select option').textContent").startswith("Bucket")
    quiet.look(1280, scheme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    before = quiet.run(paper)
    quiet.run("document.getElementById('theme').click()")
    assert quiet.run(paper) != before


@needs_browser
def test_nothing_hostile_runs(quiet, hostile_report):
    quiet.open(hostile_report)
    quiet.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    quiet.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert quiet.run("typeof window.hacked") == "undefined"
    assert quiet.run(CARDS) == len(HOSTILE)
    assert quiet.run("document.images.length + document.querySelectorAll('iframe, link[rel=stylesheet]').length") == 0
    assert quiet.run("document.scripts.length") == 2
    quiet.look(390)
    assert quiet.run("document.documentElement.scrollWidth") <= 390


@needs_browser
def test_the_policy_stops_any_other_script(page, report):
    page.open(report)
    page.run("script = document.createElement('script'); script.textContent = 'window.hacked = 1'")
    page.run("document.body.append(script)")
    assert page.run("typeof window.hacked") == "undefined"


@needs_browser
def test_a_table_that_goes_on_beyond_the_edge_shows_it(quiet, report):
    """Its shadow stays at the edge while the cover that hides it scrolls with the table."""
    quiet.look(390)
    quiet.open(report)
    quiet.run("place = document.querySelector('#confusion').parentElement")
    assert quiet.run("place.scrollWidth > place.clientWidth")
    assert quiet.run("getComputedStyle(place).backgroundAttachment") == "local, local, scroll, scroll"
    assert quiet.run("getComputedStyle(place).backgroundImage.split('linear-gradient').length") == 5
    assert quiet.run("getComputedStyle(place).scrollbarWidth") == "thin"


@needs_browser
def test_a_phone_needs_no_sideways_scrolling(quiet, report):
    quiet.look(390)
    quiet.open(report, "outcome=wrong")
    quiet.run("document.querySelectorAll('.sample').forEach(d => d.open = true)")
    assert quiet.run("document.documentElement.scrollWidth") <= 390
    quiet.run(
        "cells = [...document.querySelectorAll('.cells:not(.whole)')].filter(c => c.querySelector('.got').innerText)"
    )
    apart = "Math.abs(c.querySelector('.gold').offsetTop - c.querySelector('.got').offsetTop)"
    assert quiet.run(f"Math.max(...cells.map(c => {apart}))") < 8
