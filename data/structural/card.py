"""The dataset's card, written from its files: `python -m data.structural.card` renews README.md."""

from collections import Counter
from pathlib import Path
from typing import Any

from data.lookup import lookup
from data.record import Record
from data.structural.build import SEED
from data.structural.proof import split_leaks as checks
from data.structural.requests.splits import KINDS, SPLITS
from tooltune.files import atomic_write, read_jsonl

HERE = Path(__file__).parent
Rows = dict[str, list[dict[str, Any]]]

_HEAD = """# Requests for a structural-analysis program (건축구조)

2,500 requests as an engineer types them, mostly in Korean, each with the tool calls they mean. Every file is written by
this package; this card too (`python -m data.structural.card`). Rows are records of `data.record`: `messages` (a system
turn with one line on the model's state, earlier turns, the request, the gold answer), 4–14 `tools`, and `meta`.

Rebuild with `python -m data build` (seed {seed}; needs the `structural` extra). The same bytes come out on every Python
from 3.11 to 3.13; `digests.json` holds their SHA-256, and `python -m data build --check` builds again and compares.

**Validation and test are frozen.** They were built once, together with the first training rows, and stay byte for byte,
so that scores of models trained on different training rows compare. A build reads them, draws training rows that keep
away from them (below), and writes them back as they are; `--check` thus proves the bytes of training, and of the other
two that the files are the ones digested. Two of their 500 rows passed over a tool list of the first training rows and
cannot be drawn again; a test draws a sample of the other 498 from the grammar and compares. Another seed
(`python -m data build --seed N --out FOLDER`) builds all three from nothing, as other rows.

**Origin**: synthetic throughout. A grammar of this package writes every sentence, model and call; no row comes from
another dataset or out of a language model, and no person's data is in it. The tools are modelled on what
structural programs offer (nodes, members, supports, loads, analyses, results). 134 requests written by hand
(`utterances.jsonl`) served as examples of how engineers phrase things; they test the engine and the scorer. They are in
no split, which a check sees to; as rows of their own (`handwritten.jsonl`, by `python -m data.structural.handwritten`)
they can be scored: `python -m eval run --data data/structural/handwritten.jsonl`.

**Licence**: Apache-2.0, as the project.
"""
_SESSIONS = """## Sessions

Training rows come in {} sessions: an engineer at one model has one list of tools for everything asked there. The rows
of a session stand together and have the same system turn and the same tools in the same order, so whoever trains on
them can read both once. A list holds what its rows need, look-alikes of that and a few others. A session is Korean
(with mixed rows) or English, and renamed or without parameter descriptions as a whole; its rows are of all kinds, and
any first part of the file has about the mix of the whole. Rows of validation and test have a list each.

Where a row has no call because a value is missing or a thing does not exist, the session mostly also holds its `twin`:
the nearest sentence that has the value, or names a thing that exists, with its call.

"""
_HOW = """
## How a row is made

A request and its calls come from one intent: an intent draws what is wanted (tool, ids, values, units, direction), says
each part in one of many ways, and a clause plan puts the parts in order. Verbs take endings, particles follow the
*spoken* last syllable (10kN을, 10kN/m를, LCB1로), numbers may be spelled (이십오 kN), and a few rows carry typos, odd
spacing, full-width digits or a stray remark; noise never changes a number, a unit or an axis.

Conventions: load units are copied (`unit`, left out when kN-based), lengths are converted (mm → m, sections in mm);
down means Z with a negative value; a beam load without a direction acts down, a nodal load without one is asked back
for; floor load and self-weight count downward as positive; what is unsaid is left out of the call.

Each row was checked twice, independently of what wrote it: the engine carries the gold calls out on the row's model and
holds the loads to equilibrium, and a second reader finds the calls' numbers, units, directions and ids in the text
(`meta.verified`). Calls to something that does not exist were refused by the engine.

`meta`: split, bucket, lang, phenomena, template_id, model_id, relevant_tools, verified; `renamed` maps a row's renamed
tools and parameters back to the project's names. Validation and test rows also have the model itself (`model`) and what
was checked; a training row, which passed the same checks or would not stand there, names its model
(`data.structural.requests.frames.spec_of` reads both) and its session.

Tools are described in one language, that of the request: Korean for Korean and mixed rows, English for English ones.
A description says what the schema cannot: that a beam load without a direction acts down.

## How the splits differ

Separate by construction, before anything is drawn: structural models (grids, sections, names of load cases),
magnitudes, tool sets, and grammar rules (clause plans, endings, verbs, nouns). Validation and test have held-out rules
of their own. A training row is drawn again if it has the skeleton of a T2–T5 row (b), comes near to one (c), or shares
more than {shape:.0%} of the 3-grams without numbers with a T2 row.

Training chains of tools are of two kinds: those of a list, whose second call builds on the first, and open ones, any
two or three tools that follow each other clearly. No two tools of a listed chain of validation or test, in either
order, are in an open one.

| bucket | what is new |
|---|---|
| T1 | only values and models |
| T2 | held-out wording: clause plans, endings, verbs, nouns |
| T3 | held-out combinations: tools in one request; parallel calls with other units; corrections with direction words |
| T4 | five tools that no other row mentions |
| T5 | requests that no call answers, in held-out wording |
"""
_LIMITS = """
## Limits

- Generated sentences are more regular than people's. A score here says how well a model learnt this language and these
  conventions, not how it would fare with the engineers of an office; the held-out rules and the look-up figure above
  tell how much of it is more than memory.
- The engine proves that the calls are possible and what they do to the model. That the sentence asks for just these
  calls rests on sentence and calls coming from one intent, and on the second reader.
- Where no call is right, any text without a call counts as right; whether it asks for the missing value is not judged.
- What is left unsaid is left out of the gold call. A default that a schema states (`"default"`) may be written out all
  the same; one that only a description names (the unit kN) may not: it costs Exact Match, not Execution Accuracy.
- Turns of earlier conversation hold tool results as short JSON, not the tables and messages of a real program.
- Limits of storey drift and other values of design codes (KDS) are not confirmed and not taught: where a limit matters,
  the request gives it. `check_member_design` is a simplified check, no design.
- 30 tools of one domain, 5 more in T4. Tools of another domain are not in it, but for names that were changed
  (`renamed`).
- The system turn is 103–136 tokens in Qwen's tokenizer (median 113) and the tools of a row are many more: small
  models need `data.max_tools` or signatures (`data.tools_style=signature`).
"""


def card(rows: Rows) -> str:
    """The card's text for these rows."""
    parts = [_HEAD.format(seed=SEED), "\n## What is in it\n\n", _mix(rows), "\n", _languages(rows), "\n", _tools(rows)]
    parts += [
        "\n",
        _phenomena(rows),
        "\n",
        _sessions(rows),
        _HOW.format(shape=checks.SHAPE_LIMIT),
        "\n## Leaks and look-up\n\n",
        _leaks(rows),
        "\n",
        _probe(rows),
        _LIMITS,
    ]
    return "".join(parts)


def _table(head: list[str], lines: list[list[object]]) -> str:
    rule = "|" + "---|" * len(head)
    return "\n".join(["| " + " | ".join(map(str, line)) + " |" for line in [head]] + [rule]
                     + ["| " + " | ".join(map(str, line)) + " |" for line in lines]) + "\n"  # fmt: skip


def _mix(rows: Rows) -> str:
    kinds = [*KINDS, "heldout"]
    lines: list[list[object]] = []
    for split, buckets in SPLITS.items():
        for bucket in buckets:
            mine = [r for r in rows[split] if r["meta"]["bucket"] == bucket.name]
            found = Counter(r["meta"]["phenomena"][0] for r in mine)
            lines.append([split, bucket.name, len(mine), *(found[k] or "" for k in kinds)])
    return _table(["split", "bucket", "rows", *kinds], lines)


def _languages(rows: Rows) -> str:
    lines: list[list[object]] = []
    for split, mine in rows.items():
        found = Counter(r["meta"]["lang"] for r in mine)
        lines.append([split, *(f"{found[k] / len(mine):.1%}" for k in ("ko", "mixed", "en"))])
    return _table(["split", "Korean", "mixed", "English"], lines)


def _tools(rows: Rows) -> str:
    names: Counter[str] = Counter()
    for row in rows["train"]:
        back = row["meta"].get("renamed", {})
        for call in row["messages"][-1].get("tool_calls") or []:
            name = call["function"]["name"]
            names[back.get(name, {"name": name})["name"]] += 1
    total = sum(names.values())
    shares = ", ".join(f"`{n}` {c / total:.1%}" for n, c in sorted(names.items(), key=lambda x: (-x[1], x[0])))
    return f"Calls in training ({total}): {shares}.\n"


def _phenomena(rows: Rows) -> str:
    found = Counter(p for r in rows["train"] for p in r["meta"]["phenomena"] if p not in KINDS)
    return "Phenomena in training rows: " + ", ".join(f"{p} {n}" for p, n in sorted(found.items())) + ".\n"


def _sessions(rows: Rows) -> str:
    sessions: dict[str, list[dict[str, Any]]] = {}
    for row in rows["train"]:
        sessions.setdefault(row["meta"]["session"], []).append(row)
    counts = {
        "rows of a session": [len(mine) for mine in sessions.values()],
        "sessions of a model": list(Counter(mine[0]["meta"]["model_id"] for mine in sessions.values()).values()),
        "tools of a session": [len(mine[0]["tools"]) for mine in sessions.values()],
        "tools of a row of validation or test": [len(r["tools"]) for s in ("validation", "test") for r in rows[s]],
    }
    lines: list[list[object]] = [[what, min(n), max(n), f"{sum(n) / len(n):.1f}"] for what, n in counts.items()]
    return _SESSIONS.format(len(sessions)) + _table(["", "fewest", "most", "on average"], lines)


def _leaks(rows: Rows) -> str:
    others = rows["validation"] + rows["test"]
    t4 = {r["id"] for r in rows["test"] if r["meta"]["bucket"] == "T4"}
    stray = [i for s in rows for i in checks.heldout_mentions(rows[s]) if i not in t4]
    lines: list[list[object]] = [
        ["a", "equal normalised sentence in two splits", len(checks.shared_sentences(rows))],
        ["b", "equal skeleton in another split, T2–T5", len(checks.shared_skeletons(rows))],
        ["c", "3-gram Jaccard > 0.8 to a training sentence, T2–T5", len(checks.near_duplicates(rows["train"], others))],
        ["d", "equal state and calls in two splits", len(checks.shared_calls(rows))],
        ["e", "held-out tool or argument outside T4", len(stray)],
        [
            "–",
            "hand-written request kept for other tests",
            sum(len(checks.reserved_requests(m)) for m in rows.values()),
        ],
    ]
    return _table(["check", "what", "found"], lines)


def _probe(rows: Rows) -> str:
    text = "Solved without a model, by copying the nearest training request's calls and refilling the numbers:\n\n"
    head = ["split", "T1", "T2", "T3", "T4", "T5", "all"]
    lines: list[list[object]] = []
    records = {split: [Record(**row) for row in mine] for split, mine in rows.items()}
    for split in ("validation", "test"):
        solved = lookup(records["train"], records[split])
        lines.append([split, *(f"{solved[b]:.1%}" if b in solved else "" for b in head[1:])])
    limits = ", ".join(f"{name} {share:.0%}" for name, share in checks.LOOKUP_LIMITS.items())
    return text + _table(head, lines) + f"\nLimits for the test split: {limits}.\n"


def main() -> None:
    """Write README.md beside this file."""
    rows = {s: [r for _, r in read_jsonl(HERE / f"{s}.jsonl")] for s in ("train", "validation", "test")}
    with atomic_write(HERE / "README.md") as file:
        file.write(card(rows))


if __name__ == "__main__":
    main()
