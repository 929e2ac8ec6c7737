"""Whether a marker is written to call or only talked about (parsing policy, rule 10).

A call is attempted as soon as the family's opening marker stands in the output, at a line's start or not, whole or cut.
What cannot be read behind it makes `json_valid` and `format_ok` False; it never makes a refusal. Only a marker that is
talked about is no attempt: in a code span that is not the whole text, between quotation marks of its own, or named in a
sentence that goes on behind it on the same line to its full stop with nothing of a payload in it.
"""

import re
from bisect import bisect_right

_CODE = re.compile(r"(?<!`)(`{1,2})(?!`)[^`\n]{1,2000}\1(?!`)")
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "「": "」", "『": "』"}
_TAG = re.compile(r"</?[\w=.|:/｜▁-]{1,60}>|\[/?[A-Z_]{1,40}\]")
_PAYLOAD = re.compile(r"[{}\[\]()<>=:\"_|]")
_STOPS = (".", "!", "?", "。", "…")
_LINE = 300


class Mentions:
    """The markers of one text that are only talked about. Looking at every marker takes linear time together."""

    __slots__ = ("ends", "starts", "text")

    def __init__(self, text: str) -> None:
        whole = len(text.strip())
        spans = [m.span() for m in _CODE.finditer(text) if len(m[0]) < whole] if "`" in text else []
        self.text = text
        self.starts, self.ends = [start for start, _ in spans], [end for _, end in spans]

    def in_code(self, pos: int) -> bool:
        """Whether `pos` is inside an inline code span; a fence is none."""
        at = bisect_right(self.starts, pos) - 1
        return at >= 0 and pos < self.ends[at]

    def covers(self, start: int, end: int, until: int) -> bool:
        """Whether the marker `text[start:end]` is talked about; `until` is where the next marker or the text ends."""
        return self.in_code(start) or self._quoted(start, end) or self._named(start, end, until)

    def _quoted(self, start: int, end: int) -> bool:
        closer = _QUOTES.get(self.text[start - 1 : start])
        if closer is None:
            return False
        close = self.text.find(closer, end, end + _LINE)
        between = self.text[end:close] if close >= 0 else "\n"
        return "\n" not in between and not _PAYLOAD.search(between)

    def _named(self, start: int, end: int, until: int) -> bool:
        text = self.text
        if any(text.find(sign, end, until) >= 0 for sign in "{["):
            return False
        rest = _TAG.sub("", text[start : end + _LINE].split("\n", 1)[0]).strip()
        before = text[max(0, start - _LINE) : start].rsplit("\n", 1)[-1]
        sentence = " " in rest or bool(before.strip())
        return sentence and rest.endswith(_STOPS) and not _PAYLOAD.search(rest)
