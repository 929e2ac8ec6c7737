"""The benchmark's report: what it says, that an invalid run cannot be mistaken, and that no text of a result runs."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plotly.offline import get_plotlyjs
from rich.console import Console

from benchmarks.arms import ARMS, Arm, Unavailable
from benchmarks.cli import app
from benchmarks.report import finish, table, write_report
from benchmarks.report.anchors import anchors
from benchmarks.report.charts import COLOURS, KNOWN, colours, groups
from benchmarks.report.markdown import block, markdown, plain
from benchmarks.report.numbers import figure, median_and_range
from benchmarks.report.verdict import verdict
from benchmarks.report.words import say, words
from tests.benchmarks import report_results
from tests.benchmarks.report_results import ALL, HOSTILE
from tests.eval.chromium import Page, browser, find_chromium
from tooltune.cli import start
from tooltune.config import Config, load_config
from tooltune.console import Terminal
from tooltune.words import Language


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name → the page of each sample result, with its picture and Markdown beside it."""
    folder = tmp_path_factory.mktemp("reports")
    return {name: write_report(make(), folder / f"{name}.json")[2] for name, make in ALL.items()}


def own(page: Path) -> str:
    """The page's text without plotly, which pages with curves hold."""
    return page.read_text(encoding="utf-8").replace(get_plotlyjs(), "")


def read(page: Path) -> str:
    """What stands on the page besides its curves."""
    return re.sub(r"<script.*?</script>", "", own(page), flags=re.DOTALL)


def printed(result: dict[str, Any], width: int = 120) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(table(result))
    return out.getvalue()


@pytest.mark.parametrize(("lang", "said"), [("ko", "보고서: "), ("en", "Report: ")])
def test_the_terminal_speaks_either_language(tmp_path: Path, lang: Language, said: str) -> None:
    result = next(iter(ALL.values()))()
    out = io.StringIO()
    finish(result, tmp_path / "r.json", Terminal(file=out, width=200, lang=lang), as_json=False)
    assert verdict(result).headline.text(lang) in " ".join(out.getvalue().split())
    assert f"{said}{tmp_path / 'r.html'}" in out.getvalue()


def test_a_command_begins_in_the_language_that_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("train", "rows", "recipe"):
        with pytest.raises(SystemExit):
            start(app, "benchmarks", [command, "train.max_steps=soon", "--lang", "ko"])
        assert "프리셋" in capsys.readouterr().out


def test_files_stand_beside_the_json(reports: dict[str, Path]) -> None:
    for path in reports.values():
        assert path.with_suffix(".md").read_text(encoding="utf-8").startswith("# ")
        assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
        assert len(own(path)) < 120_000


def test_every_sentence_has_two_languages_with_the_same_holes() -> None:
    assert all(len(both) == 2 and all(isinstance(x, str) and x for x in both) for both in words().values())
    holes = [[sorted(re.findall(r"\{\w+\}", text)) for text in both] for both in words().values()]
    assert all(korean == english for korean, english in holes)


def test_every_sentence_is_used() -> None:
    folder = Path(report_results.__file__).parents[2] / "benchmarks" / "report"
    code = "".join(p.read_text(encoding="utf-8") for p in [*folder.parent.rglob("*.py"), folder / "page.html"])
    built = ("status.", "page.title.", "column.", "plan.")  # put together from a name
    assert [key for key in words() if f'"{key}"' not in code and not key.startswith(built)] == []


def test_the_verdict_names_the_figures() -> None:
    top = verdict(report_results.train())
    assert top.tone == "good" and top.headline.text("en") == "unsloth trains 1.57× as fast as hf-trainer"
    said = " ".join(fact.text("en") for fact in top.facts)
    assert "3.58 GiB with unsloth, 5.15 GiB with hf-trainer: 30% less" in said and "limit 0.02" in said


@pytest.mark.parametrize(
    ("low", "high", "said"), [(0.9, 1.2, "No clear difference"), (0.6, 0.8, "slower"), (1.1, 1.3, "as fast as")]
)
def test_a_difference_is_claimed_only_where_the_repeats_agree(low: float, high: float, said: str) -> None:
    result = report_results.train()
    result["shapes"][0]["speedup"][0] |= {"ratio": (low + high) / 2, "low": low, "high": high}
    assert said in verdict(result).headline.text("en")


def stopped() -> dict[str, Any]:
    """A recipe whose plain arm was stopped before it arrived."""
    result = report_results.recipe()
    plain = result["arms"][0]
    plain |= {"reached": False, "seconds_to_target": None, "seconds_with_setup": None, "samples_to_target": None}
    plain["seconds"] = 517.2
    factors = {"samples": None, "tokens_per_sample": 5.224, "tokens_per_second": 3.729}
    return result | {"ratio": 4.517, "at_least": True, "factors": factors}


def test_factors_are_no_parts_of_a_lower_bound() -> None:
    """5.22 and 3.73 multiply to 19.5: to say "of that" of a ratio of 4.52 was wrong."""
    top = verdict(stopped())
    for lang, lower in (("en", "lower bound"), ("ko", "하한")):
        said = " ".join(fact.text(lang) for fact in top.facts)
        assert "5.22" in said and "3.73" in said and lower in said and "Of that" not in said and "가운데" not in said
    whole = " ".join(fact.text("en") for fact in verdict(report_results.recipe()).facts)
    assert "1.00 times fewer samples" in whole and "make the ratio" in whole and "lower bound" not in whole


def test_arm_that_did_not_arrive_has_its_place_in_the_chart(tmp_path: Path) -> None:
    (group,) = groups(stopped())
    plain, preset = group.bars[0].rows
    assert plain.value is None and plain.text.text("en") == "not reached in 517 s"  # type: ignore[union-attr]
    assert preset.value and preset.text == "291"
    assert [path.suffix for path in write_report(stopped(), tmp_path / "r.json")] == [".md", ".png", ".html"]
    assert "517초 안에 도달하지 못함" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_an_invalid_run_is_never_faster(reports: dict[str, Path]) -> None:
    result = ALL["invalid"]()
    top = verdict(result)
    assert top.tone == "bad" and "Invalid" in top.headline.text("en")
    texts = [markdown(result, "en"), block(result, "en"), printed(result), read(reports["invalid"])]
    for text in texts:
        assert "invalid" in text.lower() and "1.57" not in text and "as fast as" not in text
    assert not any(bar.ratio for group in groups(result) for chart in group.bars for bar in chart.rows)
    assert 'class="kind-train invalid"' in texts[3] and 'class="stamp"' in texts[3]
    assert 'class="stamp"' not in reports["train"].read_text("utf-8")


def test_a_loss_that_is_not_finite_is_a_verdict() -> None:
    result = ALL["invalid"]()
    result["shapes"][0]["parity"][0]["max_difference"] = None
    assert "NaN or infinite" in verdict(result).facts[0].text("en")


def test_failures_are_rows_with_their_reasons(reports: dict[str, Path]) -> None:
    result = ALL["failures"]()
    assert "out of memory" in printed(result, 200) and "crashed" in printed(result)
    page = reports["failures"].read_text(encoding="utf-8")
    assert page.count("tried to allocate 1.74 GiB") == 1, "three repeats with the same reason are one line"
    assert "signal 11 after step 3" in page
    for text in (page, markdown(result, "en")):
        assert "the speed is not that card’s" in text and "did not come to its end" in text
    assert "unsloth+packing (different batches)" in markdown(result, "en")


def test_mfu_and_the_machines_rate_are_shown(reports: dict[str, Path]) -> None:
    result = report_results.train()
    text = markdown(result, "en")
    assert "Two-core processor (2 threads, AVX512); matmul rate 402 GFLOP/s (bfloat16); 2026-11-25" in text
    assert re.search(r"\| tokens/s \| MFU \|.*\n.*\n\|.*\| 30% \|", text), "the median of 28, 30 and 31 %"
    assert "HFU" not in text and "행렬곱 402 GFLOP/s (bfloat16)" in reports["train"].read_text(encoding="utf-8")
    for arm in result["shapes"][0]["arms"]:  # a result from before there was an MFU
        for run in arm["runs"]:
            for key in ("mfu", "matmul_gflops", "matmul_dtype"):
                del run[key]
        arm["summary"] = {k: v for k, v in arm["summary"].items() if k not in ("mfu", "matmul_gflops")}
    assert "MFU" not in markdown(result, "en") and "GFLOP" not in block(result, "ko") and "1.57" in printed(result)


def test_both_rates_are_named_and_explained(reports: dict[str, Path]) -> None:
    page = reports["train"].read_text(encoding="utf-8")
    assert say("chart.samples").text("en") in page and "train_samples_per_second" in page
    assert say("chart.two_rates").text("ko") in page


def test_a_plan_that_was_wrong_is_said(reports: dict[str, Path]) -> None:
    result = ALL["planner"]()
    top = verdict(result)
    said = " ".join(fact.text("en") for fact in top.facts)
    assert top.tone == "bad" and top.headline.text("en").startswith("2 of 3 plans are within 5%")
    assert "Qwen2.5-1.5B-Instruct, 1 × 1,024, hf, planned 3.00 GiB, allocated 3.30 (−9.1%)" in said
    assert "1 × 2,048, unsloth: the plan said it fits" in said and "hf-trainer: the plan said" not in said
    assert [group.name for group in groups(result)] == ["Qwen2.5-0.5B-Instruct", "Qwen2.5-1.5B-Instruct"]
    text = markdown(result, "en")
    assert "out of memory" in text and "| −9.1% |" in text and "+1.4%" in printed(result, 200)


def test_step_times_mark_the_warm_up_and_write_out_what_lies_beyond() -> None:
    (group,) = groups(report_results.train())
    losses, times = group.columns
    assert [chart.title.both for chart in losses] == [words()["chart.losses"], words()["chart.difference"]]
    (steps,) = times
    (region,), (panel,) = steps.curve.regions, steps.curve.panels
    assert (region.start, region.end) == (1, 4.5) and len(panel.lines) == 6 and panel.top and panel.top < 17
    assert steps.note and "31.0" in steps.note.text("en")


def test_nothing_finished_is_a_page_too(tmp_path: Path) -> None:
    result = report_results.with_failures()
    del result["shapes"][0]
    result["shapes"][0]["arms"] = [arm for arm in result["shapes"][0]["arms"] if arm["status"] != "ok"]
    assert len(write_report(result, tmp_path / "r.json")) == 3
    assert "compare" in verdict(result).headline.text("en")
    assert write_report(result | {"shapes": []}, tmp_path / "empty.json")


def test_other_kinds_answer_their_question() -> None:
    said = {name: verdict(ALL[name]()).headline.text("en") for name in ("length", "recipe")}
    assert "6,144 tokens and perhaps more, at least 4.00× as long as hf-trainer (1,536)" in said["length"]
    assert "2.10× sooner" in said["recipe"]


def test_a_length_that_nothing_stopped_is_a_lower_bound(reports: dict[str, Path]) -> None:
    text = reports["length"].with_suffix(".md").read_text(encoding="utf-8")
    assert "| 6,144 or more | 5.80 | – | 7 |" in text and "| 1,536 | 5.95 | 2,048 (out of memory) | 7 |" in text
    assert "liger-kernel is not installed" in reports["length"].read_text(encoding="utf-8")


def test_hostile_texts_stay_text(reports: dict[str, Path]) -> None:
    page = own(reports["hostile"])
    assert page.count("<script") == 3 and page.count("</script") == 3 and "<img" not in page
    assert "&lt;img" in page and "{{ 7 * 7 }}" in page and "‹U+202E›" in page
    assert not {"\u202e", "\x07"} & set(page) and page.count("</style") == 1
    result = ALL["hostile"]()
    for text in (markdown(result, "en"), block(result, "ko")):
        assert "<script" not in text and "<img" not in text and not re.search(r"(?<!\\)\]\(", text)
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("| 1 ×")}
        assert len(widths) <= 2, "a name broke a table's row"
    assert "[red]x[/red]" in printed(result, 400)


def test_plain_keeps_one_line() -> None:
    assert plain("a | b\n`c` <i>") == r"a \| b \`c\` &lt;i&gt;"


def test_figures_have_three_digits() -> None:
    shown = {0: "0.00", 1.6249: "1.62", 12.34: "12.3", 99.96: "100", 4210.4: "4,210", 0.8: "0.800", 0.00421: "0.00421"}
    assert {value: figure(value) for value in shown} == shown
    assert figure(None) == "–" and median_and_range({"median": 2.0, "low": 2.0, "high": 2.0}) == "2.00"


def test_losses_are_curves_and_lie_in_the_band_that_is_allowed() -> None:
    (group,) = groups(report_results.train())
    losses, difference = (chart.curve.panels[0] for chart in group.columns[0])
    assert [(line.key, line.dashed, len(line.x)) for line in losses.lines] == [
        ("hf-trainer", False, 24), ("unsloth", True, 24)
    ]  # fmt: skip
    (band,), (line,) = difference.bands, difference.lines
    assert (band.low, band.high, line.key) == (-0.02, 0.02, "unsloth")
    assert difference.low < -0.02 and all(abs(y or 0) <= 0.02 for y in line.y)
    assert group.bars[0].percent(group.bars[0].top) == 100


def test_an_arm_keeps_its_colour() -> None:
    given = colours(["hf-trainer", "mine", "unsloth", "yours"])
    assert given["unsloth"] == KNOWN["unsloth"] and len(set(given.values())) == 4
    assert all(0 <= c < COLOURS for c in colours([str(i) for i in range(20)]).values())


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_no_two_arms_of_a_device_have_one_colour(device: str) -> None:
    base = load_config("cpu")
    there = [name for name, arm in ARMS.items() if not unavailable(arm, base, device)]
    assert len(there) > 2 and len(set(colours(there).values())) == len(there)
    assert set(ARMS) <= set(KNOWN), "a new arm needs its colour"


def unavailable(arm: Arm, base: Config, device: str) -> bool:
    try:
        arm(base, device)
    except Unavailable as e:
        return "is not installed" not in str(e)
    return False


def test_one_prefix_is_no_mix() -> None:
    result = report_results.train()
    mixed = markdown(result, "en")
    result["shapes"][0]["shape"] = "one-prefix"
    assert "4 × requests with one prefix" in markdown(result, "en") and "one prefix" not in mixed


def on_a_card(result: dict[str, Any], shape: str, length: int) -> dict[str, Any]:
    """The result as if a card had made it, of one fixed shape."""
    result["device"] = {"kind": "cuda", "name": "NVIDIA A100", "memory_gib": 79.3}
    result["config"]["model"]["name"] = "Qwen/Qwen2.5-1.5B-Instruct"
    for found in result["shapes"]:
        found |= {"shape": shape, "micro_batch": 1, "length": length}
        for arm in found["arms"]:
            arm["summary"]["peak_reserved_gib"] = {"median": 2.345, "low": 2.3, "high": 2.4}
    return result


def test_published_figures_stand_beside_a_cards_with_both_cards_named() -> None:
    result = on_a_card(report_results.train(), "1x1024", 1024)
    for text in (markdown(result, "en"), block(result, "ko")):
        rows = [line for line in text.splitlines() if "RTX 3050 Ti" in line]
        assert [("hf-trainer" in row, "unsloth" in row) for row in rows] == [(False, True)], "what does the same"
        assert all("499" in row and "2.95 GB" in row and "2.35 GiB" in row for row in rows)
        assert "NVIDIA A100" in text and "4.36 GiB" in text and "RTX 4080" in text
        assert "10.5 GB" not in text, "no figure of that model is here"


def test_published_figures_of_gemma_stand_beside_a_plan() -> None:
    result = report_results.plans()
    result["arms"] = result["arms"][:1]
    assert anchors(result) is None
    case = result["arms"][0] | {"model": "google/gemma-3-270m", "shape": "1x2048", "length": 2048, "reserved_gib": 1.23}
    result["arms"].append(case)
    table = anchors(result)
    assert table is not None and len(table.rows) == 1
    assert "10.5 GB" in table.rows[0] and "1.23 GiB" in table.rows[0]


def test_no_published_figure_beside_what_is_no_cards_or_invalid() -> None:
    assert anchors(report_results.train()) is None
    invalid = on_a_card(report_results.train(0.4), "1x1024", 1024)
    assert anchors(invalid) is None and anchors(on_a_card(report_results.train(), "2x1024", 1024)) is None


def test_page_asks_for_nothing(reports: dict[str, Path]) -> None:
    text = own(reports["train"])
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy and "default-src &#39;none&#39;" in policy[1] and "unsafe" not in policy[1]
    assert ' style="' not in text and "onclick=" not in text and "url(" not in text


# ---- in a browser -------------------------------------------------------------------------------------------------

needs_browser = pytest.mark.skipif(not find_chromium(), reason="no chromium, chromium-browser or google-chrome on PATH")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def quiet(page: Page) -> Iterator[Page]:
    """The tab, watched: a test fails on any error in the console and on any request but the file itself."""
    page.errors.clear()
    yield page
    assert page.errors == []
    assert [r for r in page.requests if not r.startswith(("file:", "data:,"))] == []


@needs_browser
@pytest.mark.parametrize("name", sorted(ALL))
def test_language_and_theme_switch_and_a_phone_needs_no_sideways_scrolling(
    quiet: Page, reports: dict[str, Path], name: str
) -> None:
    quiet.look(390, scheme="light")
    quiet.open(reports[name])
    quiet.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert quiet.run("/[가-힣]/.test(document.querySelector('h1').innerText)")
    quiet.run("document.querySelector('#language button[value=en]').click()")
    shown = "[...document.querySelectorAll('h1, h2, h3, section, footer')].map(e => e.innerText).join(' ')"
    assert quiet.run(f"/[가-힣]/.test({shown})") is False
    assert quiet.run("document.documentElement.scrollWidth") <= 390
    paper = "getComputedStyle(document.body).backgroundColor"
    before = quiet.run(paper)
    quiet.run("document.getElementById('theme').click()")
    assert quiet.run(paper) != before


@needs_browser
def test_nothing_hostile_runs(quiet: Page, reports: dict[str, Path]) -> None:
    quiet.open(reports["hostile"])
    assert quiet.run("typeof window.hacked") == "undefined"
    assert (
        quiet.run("document.images.length + document.querySelectorAll('iframe, link[rel=stylesheet], a').length") == 0
    )
    assert quiet.run("document.scripts.length") == 3
    assert HOSTILE[0] in quiet.run("document.querySelector('.device').innerText")


@needs_browser
def test_bars_are_as_long_as_their_figures(quiet: Page, reports: dict[str, Path]) -> None:
    quiet.look(1280)
    quiet.open(reports["train"])
    bars = "[...document.querySelector('.bars').querySelectorAll('.bar-fill')]"
    slow, fast = quiet.run(f"{bars}.map(bar => bar.getBoundingClientRect().width)")
    assert fast / slow == pytest.approx(2.45 / 1.56, abs=0.02)


def test_the_bar_of_the_arm_that_arrives_is_short_beside_one_that_does_not() -> None:
    (bars,) = groups(stopped())[0].bars
    plain, preset = bars.rows
    assert plain.value is None and preset.value is not None
    assert bars.top > 517.2 and bars.percent(preset.value) < 100 * preset.value / 517.2


@needs_browser
def test_curves_are_drawn(quiet: Page, reports: dict[str, Path]) -> None:
    quiet.look(1280)
    lines = "[...document.querySelectorAll('.chart')].map(c => c.querySelectorAll('.trace .lines path').length)"
    for name, found in (("train", [2, 1, 6]), ("length", [3]), ("recipe", [2])):
        quiet.open(reports[name])
        quiet.run("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r())))")
        assert quiet.run(lines) == found, name


@needs_browser
def test_curves_of_a_closed_group_are_drawn_when_it_is_opened(quiet: Page, reports: dict[str, Path]) -> None:
    quiet.look(1280)
    quiet.open(reports["failures"])
    drawn = "document.querySelectorAll('details .chart .trace').length"
    assert quiet.run(drawn) == 0
    quiet.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    quiet.run("new Promise(r => setTimeout(r, 300))")
    assert quiet.run(drawn) > 0
