"""The cross-check as a page of Markdown."""

from collections import Counter
from collections.abc import Sequence

from tests.bfcl.checker import VERSION
from tests.bfcl.crosscheck import Crosscheck
from tests.bfcl.items import Item
from tests.bfcl.rules import BFCL_ACCEPTS, NO_ANSWER, NO_ANSWER_SAYS, OURS_ACCEPTS

KNOWN = (
    "Four habits of BFCL's were known before: texts are folded, parallel calls are matched one after the other, "
    "an output that cannot be decoded counts as a refusal, arithmetic in the text is carried out. The first two "
    "show below; the other two cannot, because refusals are not compared and the outputs are JSON. **The rest is "
    "not among them; this comparison found it**: the last of two keys is kept, a broken block is passed over, the "
    "empty text passes for an optional argument that is left out, `true` is 1 inside objects and lists, and some "
    "truths name arguments that the schema lacks or values that the checker itself refuses. What is accepted "
    "*here* alone are this scorer's own rules of equality (5.0 for an integer, 1e-9 relative, defaults, NFC), and "
    "the questions that no answer satisfies there."
)
"""How far the disagreements are BFCL's publicly known habits."""


def summary(found: Crosscheck) -> str:
    """One sentence with the counts."""
    total, differ = sum(found.outputs.values()), disagreements(found)
    return (
        f"{total:,} outputs: the same verdict on {total - differ:,} ({(total - differ) / total:.1%}), another on "
        f"{differ:,}, of which {len(found.unexplained)} no rule explains."
    )


def disagreements(found: Crosscheck) -> int:
    """Outputs on which the verdicts differ."""
    return sum(found.outputs.values()) - sum(found.both_right.values()) - sum(found.both_wrong.values())


def markdown(found: Crosscheck, items: Sequence[Item]) -> str:
    """The page: what was compared, every rule with its count, and every way of changing an answer."""
    categories = Counter(item.category for item in items)
    parts = [
        "# The scorer beside BFCL's",
        f"Made by `python -m tests.bfcl --out docs/bfcl-crosscheck.md` with bfcl-eval {VERSION}. For "
        + ", ".join(f"{name} ({n})" for name, n in categories.items())
        + " the right answers, and the right answers changed in one place, are judged twice: by BFCL's AST checker and "
        "by this project's Exact Match (strict reading). Where the two differ, a rule below says why: a change to the "
        "output under which they meet. Irrelevance questions have no AST check and are not compared: BFCL counts an "
        "output that it cannot decode as a refusal there, and this scorer counts an attempt as a call.",
        f"**{summary(found)}**",
        "## Why the verdicts differ",
        KNOWN,
        _rules(found),
        "## What was compared",
        _ways(found),
    ]
    if found.unexplained:
        rows = [["question", "way", "BFCL", "its word"]]
        rows += [[i, way, "right" if theirs else "wrong", word] for i, way, theirs, word, _ in found.unexplained[:50]]
        parts += ["## Unexplained", _table(rows)]
    return "\n\n".join(parts) + "\n"


def _rules(found: Crosscheck) -> str:
    says = {name: rule.says for name, rule in (BFCL_ACCEPTS | OURS_ACCEPTS).items()} | {NO_ANSWER: NO_ANSWER_SAYS}
    rows = [["accepted by", "rule", "outputs", "why", "where"]]
    for (names, bfcl), ways in sorted(found.explained.items(), key=lambda e: (-e[0][1], -sum(e[1].values()))):
        why = " ".join(says[name] for name in names.split(" + "))
        where = ", ".join(f"{way} {n:,}" for way, n in ways.most_common())
        rows.append(["BFCL" if bfcl else "here", names, f"{sum(ways.values()):,}", why, where])
    return _table(rows)


def _ways(found: Crosscheck) -> str:
    rows = [["answer", "outputs", "both right", "both wrong", "differ"]]
    for way, n in found.outputs.items():
        right, wrong = found.both_right[way], found.both_wrong[way]
        rows.append([way, f"{n:,}", f"{right:,}", f"{wrong:,}", f"{n - right - wrong:,}"])
    return _table(rows)


def _table(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])
