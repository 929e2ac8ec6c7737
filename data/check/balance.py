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
    answered = listed = first = 0
    for row in rows:
        own = row.record.meta.get("renamed") or {}
        called = [call["function"]["name"] for m in row.record.messages for call in m.get("tool_calls") or []]
        tools.update(own[name]["name"] if name in own else name for name in called)
        buckets.setdefault(row.split, Counter())[str(row.record.meta.get("bucket") or "–")] += 1
        languages[str(row.record.meta.get("lang") or _language(request(row.record)))] += 1
        if gold := row.record.gold:
            answered += 1
            listed += len(row.record.tools) >= 3
            first += len(row.record.tools) >= 3 and row.record.tools[0]["function"]["name"] == gold[0]["name"]
    found = []
    if (n := languages.total()) >= MANY and answered == n:
        found.append(counted("warning", "always_calls", n))
    if len(tools) >= 5 and (total := tools.total()) >= MANY:
        name, n = tools.most_common(1)[0]
        if n > TOP_SHARE * total:
            found.append(counted("warning", "one_tool", n, tool=repr(name), share=n / total))
    if listed >= MANY and first > FIRST_SHARE * listed:
        found.append(counted("warning", "first_tool", first, share=first / listed))
    return tools, buckets, languages, found


def _language(text: str) -> str:
    if _HANGUL.search(text):
        return "mixed" if len(_LATIN.findall(text)) >= 2 else "ko"
    return "en" if _LATIN.search(text) and text.isascii() else "other"
