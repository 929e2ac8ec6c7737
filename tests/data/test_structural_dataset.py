"""The committed dataset: its size and mix, its leak checks, and that every row is a record whose calls hold."""

import re
from collections import Counter
from itertools import combinations, groupby
from pathlib import Path

import pytest

from data.lookup import lookup
from data.overlap import near
from data.record import Record
from data.structural import build
from data.structural.card import card
from data.structural.language.replies import OPENING
from data.structural.proof import split_leaks as checks
from data.structural.requests import toolsets
from data.structural.requests.frames import spec_of
from data.structural.requests.multitool import CHAINS
from data.structural.requests.splits import SPLITS
from tooltune.files import read_jsonl

HERE = Path(build.__file__).parent
NAMES = ("train", "validation", "test")


@pytest.fixture(scope="module")
def rows():
    return {s: [r for _, r in read_jsonl(HERE / f"{s}.jsonl")] for s in NAMES}


@pytest.fixture(scope="module")
def sessions(rows):
    """The runs of training rows that name the same session."""
    return [list(mine) for _, mine in groupby(rows["train"], key=lambda r: r["meta"]["session"])]


def called(row):
    """The project's names of the tools that a row's answer calls, each once."""
    back = row["meta"].get("renamed", {})
    names = [c["function"]["name"] for c in row["messages"][-1].get("tool_calls") or []]
    return tuple(dict.fromkeys(back.get(n, {"name": n})["name"] for n in names))


def test_sizes_and_buckets_are_as_the_plan_says(rows):
    for split, buckets in SPLITS.items():
        found = Counter(r["meta"]["bucket"] for r in rows[split])
        assert found == {b.name: sum(b.kinds.values()) for b in buckets}
    assert [len(rows[s]) for s in NAMES] == [2000, 250, 250]


def test_every_row_is_a_valid_record(rows):
    for split in NAMES:
        for row in rows[split]:
            record = Record.from_dict(row, where=row["id"])
            assert "verified" not in row["meta"] if split == "train" else row["meta"]["verified"]["ok"], row["id"]
            assert 4 <= len(record.tools) <= (14 if split == "train" else 8)
            assert len({t["function"]["name"] for t in record.tools}) == len(record.tools)


def test_rows_of_a_session_share_system_turn_tools_and_language(sessions):
    assert len({mine[0]["meta"]["session"] for mine in sessions}) == len(sessions)  # each stands together
    for first, *others in sessions:
        for row in others:
            assert row["messages"][0] == first["messages"][0] and row["tools"] == first["tools"], row["id"]
            assert spec_of(row["meta"]) == spec_of(first["meta"])
            assert row["meta"].get("renamed") == first["meta"].get("renamed")
            assert (row["meta"]["lang"] == "en") == (first["meta"]["lang"] == "en"), row["id"]


def test_sessions_have_1_to_16_rows_of_mixed_kinds_and_a_model_several(sessions):
    sizes = [len(mine) for mine in sessions]
    assert min(sizes) == 1 and max(sizes) == 16 and 7 < sum(sizes) / len(sizes) < 9
    lists = {(mine[0]["meta"]["model_id"], checks.offered(mine[0])) for mine in sessions}
    assert min(Counter(model for model, _ in lists).values()) >= 3
    kinds = [len({r["meta"]["phenomena"][0] for r in mine}) for mine in sessions if len(mine) >= 8]
    assert min(kinds) >= 3


def test_lists_of_sessions_differ_in_length_and_hold_tools_that_no_row_needs(sessions):
    lengths = Counter(len(mine[0]["tools"]) for mine in sessions)
    assert min(lengths) == 4 and max(lengths) == 14 and max(lengths.values()) < 0.25 * len(sessions)
    for mine in sessions:
        needed = {c["function"]["name"] for r in mine for m in r["messages"] for c in m.get("tool_calls") or []}
        needed |= {name for r in mine for name in r["meta"]["relevant_tools"]}
        assert needed < {t["function"]["name"] for t in mine[0]["tools"]}, mine[0]["meta"]["session"]


def test_any_first_part_of_the_training_file_has_the_mix_of_the_whole(rows):
    whole = Counter(r["meta"]["phenomena"][0] for r in rows["train"])
    for n in (100, 250, 500, 1000):
        part = Counter(r["meta"]["phenomena"][0] for r in rows["train"][:n])
        assert all(abs(part[kind] - whole[kind] * n / 2000) <= 1 for kind in whole)
        assert abs(sum(r["meta"]["lang"] == "en" for r in rows["train"][:n]) / n - 0.12) < 0.06


def test_every_tool_that_is_called_or_meant_is_offered(rows):
    for split in NAMES:
        for row in rows[split]:
            called = {c["function"]["name"] for m in row["messages"] for c in m.get("tool_calls") or []}
            meant = set(row["meta"]["relevant_tools"]) | set(row["meta"].get("acceptable", {}))
            assert called | meant <= {t["function"]["name"] for t in row["tools"]}, row["id"]


def test_tools_are_described_in_the_language_of_the_request_alone(rows):
    for split in NAMES:
        for row in rows[split]:
            functions = [t["function"] for t in row["tools"]]
            said = [f["description"] for f in functions]
            said += [p.get("description") for f in functions for p in f["parameters"]["properties"].values()]
            texts = [text for text in said if text]
            assert len(texts) == (len(functions) if "no_descriptions" in row["meta"]["phenomena"] else len(said))
            for text in texts:
                assert " / " not in text and bool(re.search("[가-힣]", text)) == (row["meta"]["lang"] != "en"), row[
                    "id"
                ]


def test_renamed_and_undescribed_rows_keep_their_shares(rows):
    shown = Counter(p for r in rows["train"] for p in r["meta"]["phenomena"])
    assert abs(shown["renamed"] / 2000 - 0.13) < 0.01 and abs(shown["no_descriptions"] / 2000 - 0.09) < 0.01
    assert shown["renamed"] == sum("renamed" in r["meta"] for r in rows["train"])


def test_rows_of_validation_and_test_have_lists_of_their_own(rows):
    train = {checks.offered(row) for row in rows["train"]}
    for split in ("validation", "test"):
        lists = [checks.offered(row) for row in rows[split]]
        assert not train & set(lists) and len(set(lists)) > 230
        assert not any("session" in row["meta"] for row in rows[split])


def test_arguments_stand_in_schema_order(rows):
    for split in NAMES:
        for row in rows[split]:
            order = {t["function"]["name"]: list(t["function"]["parameters"]["properties"]) for t in row["tools"]}
            for message in row["messages"]:
                for call in message.get("tool_calls") or []:
                    keys = list(call["function"]["arguments"])
                    assert keys == [k for k in order[call["function"]["name"]] if k in keys], row["id"]


def test_languages_and_tools_keep_their_shares(rows):
    train = rows["train"]
    share = Counter(r["meta"]["lang"] for r in train)
    assert abs(share["ko"] / 2000 - 0.80) < 0.03 and abs(share["en"] / 2000 - 0.12) < 0.03
    calls = Counter(c["function"]["name"] for r in train for c in r["messages"][-1].get("tool_calls") or [])
    assert max(calls.values()) / sum(calls.values()) <= 0.12


def test_the_gold_tool_stands_anywhere_in_the_list(rows):
    places, by_chance = Counter(), Counter()
    for row in rows["train"]:
        names = [t["function"]["name"] for t in row["tools"]]
        for call in (row["messages"][-1].get("tool_calls") or [])[:1]:
            places[4 * names.index(call["function"]["name"]) // len(names)] += 1
            for i in range(len(names)):
                by_chance[4 * i // len(names)] += 1 / len(names)
    assert all(0.8 < places[quarter] / by_chance[quarter] < 1.2 for quarter in range(4))


def test_leak_a_no_sentence_in_two_splits(rows):
    assert checks.shared_sentences(rows) == []


def test_leak_b_no_skeleton_of_a_heldout_bucket_elsewhere(rows):
    assert checks.shared_skeletons(rows) == []


def test_leak_c_no_near_duplicate_of_a_training_sentence(rows):
    assert checks.near_duplicates(rows["train"], rows["test"] + rows["validation"]) == []


def test_leak_d_no_state_and_calls_in_two_splits(rows):
    assert checks.shared_calls(rows) == []


def test_leak_e_heldout_tools_only_in_t4(rows):
    assert checks.heldout_mentions(rows["train"] + rows["validation"]) == []
    mentioned = set(checks.heldout_mentions(rows["test"]))
    assert mentioned == {r["id"] for r in rows["test"] if r["meta"]["bucket"] == "T4"}


def test_no_row_repeats_a_hand_written_request(rows):
    assert len(checks.reserved()) > 100
    assert checks.reserved_requests(rows["train"] + rows["validation"] + rows["test"]) == []


def test_leak_f_digests_match_the_files(rows):
    import json

    stored = json.loads((HERE / "digests.json").read_text(encoding="utf-8"))
    assert stored == {s: build.digest(rows[s]) for s in NAMES}
    for split in NAMES:
        assert (HERE / f"{split}.jsonl").read_text(encoding="utf-8") == "".join(map(build.line, rows[split]))


def test_the_card_is_written_from_these_files(rows):
    assert (HERE / "README.md").read_text(encoding="utf-8") == card(rows), "run python -m data.structural.card"


def test_the_probe_without_a_model_fails(rows):
    solved = lookup([Record(**row) for row in rows["train"]], [Record(**row) for row in rows["test"]])
    for bucket, limit in checks.LOOKUP_LIMITS.items():
        assert solved[bucket] <= limit, f"{bucket}: {solved[bucket]:.1%}"


def test_no_training_row_is_shaped_like_a_t2_row(rows):
    train = [checks.shape(r) for r in rows["train"]]
    for row in rows["validation"] + rows["test"]:
        if row["meta"]["bucket"] == "T2":
            assert not any(near(checks.shape(row), s, checks.SHAPE_LIMIT) for s in train), row["id"]


def test_every_tool_goes_on_to_many_others_in_training(rows):
    pairs = {p for r in rows["train"] if r["meta"]["phenomena"][0] == "multi_tool" for p in combinations(called(r), 2)}
    assert len(pairs) > 150
    assert {first for first, _ in pairs} == {second for _, second in pairs} == {*toolsets.CORE} - {"undo"}


def test_t3_pairs_never_occur_in_training(rows):
    heldout = {
        frozenset(two) for pool in ("val", "test") for tools, _ in CHAINS[pool] for two in combinations(tools, 2)
    }
    listed = {tools for tools, _ in CHAINS["train"]}
    train = set()
    for row in rows["train"]:
        train.add(called(row))
        if row["meta"]["phenomena"][0] == "multi_tool" and called(row) not in listed:
            assert not heldout & {frozenset(two) for two in combinations(called(row), 2)}, row["id"]
        seen = row["meta"]["phenomena"]
        assert not {"parallel", "unit"} <= set(seen) and not {"correction", "direction_word"} <= set(seen), row["id"]
    for split in ("validation", "test"):
        for row in rows[split]:
            if row["meta"]["bucket"] == "T3" and "multi_tool" in row["meta"]["phenomena"]:
                assert called(row) not in train, row["id"]


def test_a_twin_is_close_to_a_row_of_its_session_that_has_no_call(sessions):
    shared, unanswered = [], 0
    for mine in sessions:
        empty = [r for r in mine if r["meta"]["phenomena"][0] in ("missing", "invalid")]
        unanswered += len(empty)
        for row in mine:
            if "twin" in row["meta"]["phenomena"]:
                alike = [checks.shape(r) for r in empty if r["meta"]["relevant_tools"] == row["meta"]["relevant_tools"]]
                shared.append(max(len(checks.shape(row) & s) / min(len(checks.shape(row)), len(s)) for s in alike))
                assert called(row), row["id"]
    assert len(shared) > 0.7 * unanswered
    assert sum(shared) / len(shared) > 0.6 and sum(share < 0.3 for share in shared) < 0.1 * len(shared)


def test_answers_in_words_are_short_and_begin_alike(rows):
    said = [r["messages"][-1]["content"] for r in rows["train"] if not r["messages"][-1].get("tool_calls")]
    assert len(said) == 500 and max(map(len, said)) <= 60
    assert all(text.startswith(OPENING) for text in said)
    assert len(set(said)) > 100  # they name what is missing or wrong


def test_splits_share_no_section(rows):
    names = {s: {c for r in mine for c in spec_of(r["meta"]).sections} for s, mine in rows.items()}
    assert not names["train"] & names["test"] and not names["train"] & names["validation"]
