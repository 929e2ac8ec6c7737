"""The committed dataset: its size and mix, its leak checks, and that every row is a record whose calls hold."""

from collections import Counter
from pathlib import Path

import pytest

from data.files import read_jsonl
from data.record import Record
from data.structural import build, checks
from data.structural.card import card
from data.structural.probe import LIMITS, probe
from data.structural.splits import SPLITS

HERE = Path(build.__file__).parent
NAMES = ("train", "validation", "test")


@pytest.fixture(scope="module")
def rows():
    return {s: [r for _, r in read_jsonl(HERE / f"{s}.jsonl")] for s in NAMES}


def test_sizes_and_buckets_are_as_the_plan_says(rows):
    for split, buckets in SPLITS.items():
        found = Counter(r["meta"]["bucket"] for r in rows[split])
        assert found == {b.name: sum(b.kinds.values()) for b in buckets}
    assert [len(rows[s]) for s in NAMES] == [2000, 250, 250]


def test_every_row_is_a_valid_record(rows):
    for split in NAMES:
        for row in rows[split]:
            record = Record.from_dict(row, where=row["id"])
            assert row["meta"]["verified"]["ok"], row["id"]
            assert 4 <= len(record.tools) <= 8
            assert len({t["function"]["name"] for t in record.tools}) == len(record.tools)


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
    places = Counter()
    for row in rows["train"]:
        names = [t["function"]["name"] for t in row["tools"]]
        for call in (row["messages"][-1].get("tool_calls") or [])[:1]:
            places[int(4 * names.index(call["function"]["name"]) / len(names))] += 1
    assert min(places.values()) > 0.7 * max(places.values())


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
    solved = probe(rows["train"], rows["test"])
    for bucket, limit in LIMITS.items():
        assert solved[bucket] <= limit, f"{bucket}: {solved[bucket]:.1%}"


def test_t3_pairs_never_occur_in_training(rows):
    def tools(row):
        return tuple(dict.fromkeys(c["function"]["name"] for c in row["messages"][-1].get("tool_calls") or []))

    train = {tools(r) for r in rows["train"] if "renamed" not in r["meta"]}
    for row in rows["train"]:
        seen = row["meta"]["phenomena"]
        assert not {"parallel", "unit"} <= set(seen) and not {"correction", "direction_word"} <= set(seen), row["id"]
    for split in ("validation", "test"):
        for row in rows[split]:
            if row["meta"]["bucket"] == "T3" and "multi_tool" in row["meta"]["phenomena"]:
                assert tools(row) not in train, row["id"]


def test_answers_in_words_are_short_and_varied(rows):
    said = [r["messages"][-1]["content"] for r in rows["train"] if not r["messages"][-1].get("tool_calls")]
    assert len(said) == 400 and max(map(len, said)) <= 60
    assert len(set(said)) > 200


def test_splits_share_no_section(rows):
    names = {s: {c for r in mine for c in r["meta"]["model"]["sections"]} for s, mine in rows.items()}
    assert not names["train"] & names["test"] and not names["train"] & names["validation"]
