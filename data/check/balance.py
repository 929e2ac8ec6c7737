"""What the rows are about: calls by tool, rows by bucket and language, and what is out of balance."""

import re
from collections import Counter
from collections.abc import Iterable

from data.check.finding import Finding, Placed, counted
from data.check.leaks import request

MANY = 20
"""Rows from which on a share means something."""
TOP_SHARE = 0.3
FIRST_SHARE = 0.6
FEW = 0.15
"""Share of rows without a call below which that is said: docs/decisions.md, "A first run with Gemma 3 270M"."""
_HANGUL = re.compile(r"[가-힣ㄱ-ㅎㅏ-ㅣ]")
_LATIN = re.compile(r"[A-Za-z]{4,}")


def tally(
    rows: Iterable[Placed],
) -> tuple[Counter[str], dict[str, Counter[str]], Counter[str], list[Finding]]:
    """Calls by tool (of every turn, renamed ones by their own name), rows by bucket in each split and by language, and
    balances that a model learns instead of the task."""
    tools: Counter[str] = Counter()
    buckets: dict[str, Counter[str]] = {}
    languages: Counter[str] = Counter()
    silent: Counter[str] = Counter()
    listed = first = 0
    for row in rows:
        own = row.record.meta.get("renamed") or {}
        called = [call["function"]["name"] for m in row.record.messages for call in m.get("tool_calls") or []]
        tools.update(own[name]["name"] if name in own else name for name in called)
        buckets.setdefault(row.split, Counter())[str(row.record.meta.get("bucket") or "–")] += 1
        languages[str(row.record.meta.get("lang") or _language(request(row.record)))] += 1
        gold = row.record.gold
        silent[row.split] += not gold
        if gold:
            listed += len(row.record.tools) >= 3
            first += len(row.record.tools) >= 3 and row.record.tools[0]["function"]["name"] == gold[0]["name"]
    most = max(buckets, key=lambda split: buckets[split].total(), default="")  # it is what trains
    found = few_without_call(silent[most], buckets[most].total()) if most else []
    if len(tools) >= 5 and (total := tools.total()) >= MANY:
        name, n = tools.most_common(1)[0]
        if n > TOP_SHARE * total:
            found.append(counted("warning", "one_tool", n, tool=repr(name), share=n / total))
    if listed >= MANY and first > FIRST_SHARE * listed:
        found.append(counted("warning", "first_tool", first, share=first / listed))
    return tools, buckets, languages, found


def few_without_call(silent: int, rows: int) -> list[Finding]:
    """The warning, where fewer of the rows that train than `FEW` answer without a call."""
    if rows < MANY or silent >= FEW * rows:
        return []
    return [counted("warning", "few_without_call", rows - silent, share=silent / rows)]


def _language(text: str) -> str:
    if _HANGUL.search(text):
        return "mixed" if len(_LATIN.findall(text)) >= 2 else "ko"
    return "en" if _LATIN.search(text) and text.isascii() else "other"
