"""The grammar: number words, particles, verbs, plans, noise, renames, and a sample that is the same every time."""

import copy
import json
import random
import re
from dataclasses import replace
from itertools import chain, combinations, islice

import pytest
from typer.testing import CliRunner

from data.commands import app
from data.structural import build
from data.structural.engine.tool_schemas import core_tools, functions, heldout_tools
from data.structural.language import noise
from data.structural.language import quantities as units
from data.structural.language.numerals import native, plain, sino
from data.structural.language.particles import particle, settle
from data.structural.language.sentence import say
from data.structural.language.speaker import Speaker, ch
from data.structural.language.verbs import VERBS
from data.structural.make_row import make_row
from data.structural.proof import split_leaks as checks
from data.structural.requests import multitool, nocall, renames, sessions, toolsets
from data.structural.requests.frames import COUNTS, make_frame
from data.structural.requests.intents import HELDOUT, INTENTS
from data.structural.requests.multitool import CHAINS
from data.structural.requests.request import Situation
from data.structural.requests.splits import SPLITS, quota


def speaker(seed: str = "x", **settings) -> Speaker:
    return Speaker(random.Random(seed), **settings)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (10, "십"),
        (14, "십사"),
        (25, "이십오"),
        (12.5, "십이점오"),
        (120, "백이십"),
        (1200, "천이백"),
        (20500, "이만오백"),
    ],
)
def test_sino_numbers(value, text):
    assert sino(value) == text


def test_native_and_plain_numbers():
    assert [native(n) for n in (1, 3, 12, 20, 21)] == ["한", "세", "열두", "스무", "스물한"]
    assert [plain(v) for v in (10.0, 12.5, -3, 0.25)] == ["10", "12.5", "-3", "0.25"]


@pytest.mark.parametrize(
    ("text", "form", "right"),
    [
        ("10kN", "을", "을"),
        ("10kN/m", "을", "를"),
        ("3tonf", "을", "를"),
        ("2톤", "을", "을"),
        ("800kgf", "으로", "로"),
        ("LCB1", "으로", "로"),
        ("LCB2", "으로", "로"),
        ("LCB3", "으로", "으로"),
        ("LCB10", "을", "을"),
        ("8", "은", "은"),
        ("12", "은", "는"),
        ("SM355", "을", "를"),
        ("H-400x200x8x13", "으로", "으로"),
        ("DL", "으로", "로"),
        ("WX", "을", "를"),
        ("변위", "은", "는"),
        ("반력", "을", "을"),
        ("node", "을", "를"),
        ("section", "을", "을"),
        ("방향(X, Y)", "이", "이"),
        ("3kN/m²", "을", "를"),
        ("1500mm", "으로", "로"),
        ("25%", "을", "를"),
        ("2F", "은", "는"),
    ],
)
def test_particles_follow_the_spoken_syllable(text, form, right):
    assert particle(text, form) == right


def test_settle_writes_marks_out():
    assert settle("10kN^을 8번 절점^과 ^?은", lambda: False) == "10kN을 8번 절점과 "


def test_verbs_close_their_stems():
    assert [VERBS[v].past for v in ("추가", "넣", "만들", "걸")] == ["추가한", "넣은", "만든", "건"]
    assert [VERBS[v].future for v in ("추가", "넣", "만들", "걸")] == ["추가할", "넣을", "만들", "걸"]


def test_a_plan_says_exactly_the_slots_that_are_known():
    plans = ch("[{case} ][{node}에 ]{mag}|{node}, {mag}")
    texts = {say(speaker(str(i)), plans, {"node": "8번 절점", "mag": "10kN"}) for i in range(30)}
    assert texts == {"8번 절점에 10kN", "8번 절점, 10kN"}
    with pytest.raises(LookupError):
        say(speaker(), plans, {"story": "2F"})


def test_heldout_rules_stay_with_their_split():
    options = ch("a|b", val="v", test="t")
    said = {
        pool: {speaker(f"{pool}{i}", pool=pool).pick(options) for i in range(60)} for pool in ("train", "val", "test")
    }
    assert said == {"train": {"a", "b"}, "val": {"a", "b", "v"}, "test": {"a", "b", "t"}}


def test_noise_never_touches_digits_units_or_axes():
    text = "절점 8번에 X방향으로 12.5kN 하중 추가해줘"
    keep = r"[0-9.]+|kN|[XYZ]"
    for i in range(200):
        v = speaker(str(i), want=("typo", "spacing"))
        changed = noise.spacing(v, noise.typo(v, text))
        assert re.findall(keep, changed) == re.findall(keep, text)
    assert "8 12" in noise.spacing(speaker("1"), "절점 8 12kN")


def test_every_tool_can_be_said_in_every_language():
    for name, (intent, _) in [*INTENTS.items(), *((n, (i, 0)) for n, i in HELDOUT.items())]:
        for lang in ("ko", "mixed", "en"):
            said = 0
            for i in range(40):
                v = speaker(f"{name}{lang}{i}", lang=lang)
                command = intent(Situation(make_frame("train", i % COUNTS["train"]), "train", v))
                try:
                    text = command.sentence(v)
                except LookupError:
                    continue
                said += 1
                assert not re.search(r"[\^{}<>]", text), text
            assert said > 10, (name, lang)


def test_renames_map_back_to_the_schema():
    calls = [{"function": {"name": "undo", "arguments": {"steps": 2}}}]
    row, other = (
        {
            "messages": [{"role": "assistant", "tool_calls": copy.deepcopy(calls)}],
            "meta": {"relevant_tools": ["undo"], "phenomena": []},
        }
        for _ in range(2)
    )
    renames.offer_to([row, other], ["add_nodal_load", "undo"], "ko", "renamed", speaker("r"), set(HELDOUT))
    assert row == other
    back = row["meta"]["renamed"]
    assert sorted(b["name"] for b in back.values()) == ["add_nodal_load", "undo"]
    called = row["messages"][0]["tool_calls"][0]["function"]
    assert back[called["name"]]["name"] == "undo" and row["meta"]["relevant_tools"] == [called["name"]]
    for tool in row["tools"]:
        function = tool["function"]
        known = functions()[back[function["name"]]["name"]]["parameters"]["properties"]
        names = [back[function["name"]]["parameters"].get(p, p) for p in function["parameters"]["properties"]]
        assert names == list(known)


def test_every_description_is_there_in_both_languages():
    for tool in (*core_tools(), *heldout_tools()):
        function = tool["function"]
        for described in (function, *function["parameters"]["properties"].values()):
            korean, english = described["description"].split(" / ")
            assert re.search("[가-힣]", korean) and english and not re.search("[가-힣]", english), described


def test_a_tool_is_offered_in_one_language():
    described = {lang: toolsets.offer(["undo"], lang)[0]["function"]["description"] for lang in ("ko", "mixed", "en")}
    assert described == {
        "ko": "최근 작업을 되돌린다.",
        "mixed": "최근 작업을 되돌린다.",
        "en": "Undo the last operations.",
    }


def test_a_session_is_in_the_way_and_about_the_tool_that_are_behind():
    drawn = sessions.Drawn()
    drawn.ways.update({("ko", ""): 700, ("ko", "renamed"): 115, ("ko", "no_descriptions"): 80, ("en", ""): 60})
    drawn.singles.update({name: int(1000 * weight) for name, weight in sessions._SINGLE.items()})
    drawn.singles["move_node"] = 0
    session = sessions.start(5, 1, drawn)
    assert session.way == ("en", "") and list(session.languages) == ["en"]
    assert session.about[0] == "move_node" and 1 <= session.size <= 16


def test_a_list_widens_for_conversations_and_for_what_nothing_else_fits():
    session = sessions.start(0, 1, sessions.Drawn())
    session.about = ["undo", "add_node"]
    assert session.fits("single", ["undo"], 0) and not session.fits("single", ["move_node"], 0)
    assert session.fits("multi_turn", ["move_node", "undo"], 0) and session.fits("missing", ["move_node"], 60)
    session.about = list(toolsets.CORE[: sessions.NEEDED])
    assert not session.fits("multi_turn", [toolsets.CORE[-1]], 399)


def test_models_of_the_splits_do_not_meet():
    lines = {s: {str(make_frame(s, i).spec) for i in range(n)} for s, n in COUNTS.items()}
    assert not lines["train"] & lines["test"] and not lines["train"] & lines["validation"]
    assert not lines["validation"] & lines["test"]


def test_heldout_chains_are_not_in_training():
    pairs = {pool: {t for t, _ in chains} for pool, chains in CHAINS.items()}
    assert not pairs["train"] & pairs["val"] and not pairs["train"] & pairs["test"] and not pairs["val"] & pairs["test"]


def test_quota_keeps_the_mix_in_every_prefix():
    bucket = SPLITS["train"][0]
    order = quota(bucket)
    assert {k: order.count(k) for k in bucket.kinds} == bucket.kinds
    assert 34 <= order[:100].count("single") <= 40


def test_a_sample_is_the_same_every_time_and_is_what_the_file_holds():
    pytest.importorskip("Pynite")
    seen = checks.Seen.of(chain.from_iterable(build.frozen().values()))
    first = list(islice(build.build_split("train", build.SEED, seen), 25))
    stored = (build.HERE / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[:25]
    assert [build.line(row) for row in first] == stored


def test_own_lists_change_the_lists_and_what_they_rename_alone():
    pytest.importorskip("Pynite")
    seen = checks.Seen.of(chain.from_iterable(build.frozen().values()))
    own = list(islice(build.build_split("train", build.SEED, seen, own_lists=True), 25))
    lines = (build.HERE / "train.jsonl").read_text(encoding="utf-8").splitlines()[:25]
    common = [json.loads(line) for line in lines]

    def said(rows):
        return [[m["content"] for m in row["messages"] if m["role"] in ("system", "user")] for row in rows]

    def lists(rows):
        return {checks.offered(row) for row in rows}

    assert said(own) == said(common) and len(lists(own)) == 25 > len(lists(common))
    for row in own:
        called = {c["function"]["name"] for m in row["messages"] for c in m.get("tool_calls") or ()}
        assert called <= {t["function"]["name"] for t in row["tools"]}


@pytest.mark.parametrize("split", ["validation", "test"])
def test_frozen_rows_are_drafts_of_the_grammar_as_it_is(split):
    """Which of the drafts of a row was taken depended on the training rows of then; that it is one of them does not."""
    pytest.importorskip("Pynite")

    class Only(checks.Seen):
        def take(self, row):
            return row == stored[row["meta"]["split"]][int(row["id"][-4:])]

    stored = build.frozen()
    kinds = [(bucket, kind) for bucket in SPLITS[split] for kind in quota(bucket)]
    for number in range(5, len(kinds), 25):
        assert make_row(split, *kinds[number], number, build.SEED, Only())


def test_a_training_row_keeps_away_from_frozen_rows():
    t1, t2 = (next(r for r in build.frozen()["test"] if r["meta"]["bucket"] == b) for b in ("T1", "T2"))
    seen = checks.Seen.of([t1, t2])
    assert checks.offered(t2) in seen.toolsets and not seen.take(t2)

    def training(row, change):
        new = copy.deepcopy(row)
        new["meta"] |= {"split": "train", "bucket": "train"}
        new["messages"][0]["content"] = "another model"
        request = next(m for m in reversed(new["messages"]) if m["role"] == "user")
        request["content"] = change(request["content"])
        return new

    assert not seen.take(training(t2, lambda text: re.sub(r"\d", "3", text) + "."))  # the same skeleton
    assert not seen.take(training(t2, lambda text: text + " 부탁해"))  # near, or shaped like it
    assert seen.take(training(t1, lambda text: text + " 부탁해"))
    assert seen.take(training(t2, lambda text: "절점 3번을 고정으로 해줘"))


def test_open_chains_are_clear_and_not_those_of_a_list():
    listed = {frozenset(two) for pool in CHAINS.values() for tools, _ in pool for two in combinations(tools, 2)}
    drawn = [
        multitool._open(Situation(make_frame("train", 0), "train", speaker(str(i)), about=["move_node"]))
        for i in range(400)
    ]
    pairs = [two for tools in drawn for two in combinations(tools, 2)]
    assert not listed & {frozenset(two) for two in pairs} and not any(multitool._unclear(*two) for two in pairs)
    assert 20 < sum(len(tools) == 3 for tools in drawn) < 60
    assert multitool._unclear("run_static_analysis", "get_reaction")
    assert multitool._unclear("create_load_case", "add_nodal_moment")
    assert not multitool._unclear("get_reaction", "run_static_analysis")


def test_chains_outside_of_a_session_are_those_of_the_list():
    chains = {"+".join(tools) for tools, _ in CHAINS["test"]}
    for i in range(60):
        assert (
            multitool.chain(Situation(make_frame("test", 0), "test", speaker(str(i), pool="test")), "test").template
            in chains
        )


def test_twins_have_the_value_or_a_thing_that_exists():
    for i in range(200):
        model, lang = make_frame("train", i % COUNTS["train"]), ("ko", "en")[i % 2]
        request = nocall.invalid(Situation(model, "train", v := speaker(f"invalid{i}", lang=lang)))
        if request.twin:
            assert request.twin.text != request.text and request.twin.calls != request.refused
            assert [name for name, _ in request.twin.calls] == [name for name, _ in request.refused]
            assert request.twin.speaker is not v and "twin" in request.twin.speaker.shown and "twin" not in v.shown
    assert nocall.missing(Situation(model, "train", speaker("missing"))).twin
    assert not nocall.missing(Situation(make_frame("test", 0), "test", speaker("missing"))).twin


def test_a_thing_that_exists_takes_the_place_of_the_one_that_does_not():
    scene = Situation(make_frame("train", 0), "train", speaker())
    command = INTENTS["get_displacement"][0](replace(scene, fix={"nodes": [99], "say_load": False}))
    right = nocall._with(scene, command, 99, [7])
    assert right.calls[0][1]["node_id"] == 7 and "7" in str(right.slots) and "99" not in str(right.slots)
    assert nocall._with(scene, replace(command, slots={"node": "99번 99번"}), 99, [7]) is None
    assert nocall._with(scene, command, 98, [7]) is None and nocall._with(scene, command, 99, []) is None


def test_other_units_are_usual_in_training_alone():
    shares = {s: sum(units.draw(speaker(f"{s}{i}"), s, "force").unit != "kN" for i in range(400)) / 400 for s in COUNTS}
    assert 0.2 < shares["train"] < 0.3 and shares["validation"] < 0.1 and shares["test"] < 0.1


def test_another_seed_does_not_write_over_the_dataset():
    done = CliRunner().invoke(app, ["build", "--seed", "7"])
    assert done.exit_code == 2 and "--seed" in done.stderr and "--out FOLDER" in done.stderr
