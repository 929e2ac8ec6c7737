"""What a request mentions: numbers, ids, directions; what it takes back; all with their places."""

import re
from dataclasses import dataclass, field

from data.structural.proof.reader.numbers import MEMBER, NODE, Number, mask, numbers, section_sizes
from data.structural.proof.reader.plain_text import plain

_NOUN_BEFORE = re.compile(
    rf"(?:(?P<node>{NODE})|(?P<member>{MEMBER}))\s*(?:은|는|의|들)?\s*(?:번호)?\s*(?:제|no\.?|#|number)?\s*$", re.I
)
_NOUN_AFTER = re.compile(rf"\s?(?:의\s)?(?:(?P<node>{NODE})|(?P<member>{MEMBER}))", re.I)
_GAP_NOUN = rf"(?:\s*(?:{NODE}|{MEMBER}))?"
_RANGE = re.compile(rf"{_GAP_NOUN}\s*(?:부터|에서|~|-|through|thru|to|내지){_GAP_NOUN}\s*(?:제|no\.?|#)?\s*", re.I)
_LIST = re.compile(
    rf"{_GAP_NOUN}\s*(?:,\s*and|,|·|및|와|과|이랑|랑|하고|이하고|and|&|/|그리고){_GAP_NOUN}\s*(?:제|no\.?|#)?\s*", re.I
)
_LOCAL = r"(?:(?:부재|요소|국부)\s*(?:좌표계?|축)?(?:의|\s)*|로컬\s*|local[_\s]*(?:axis\s)?)"
_AXIS = re.compile(
    rf"(?P<local>{_LOCAL})?(?P<sign>(?<![A-Za-z0-9)])[+-]\s?)?(?<![A-Za-z0-9¤])(?P<axis>[XYZxyz])(?![A-Za-z¤])"
    r"(?P<after>\s*(?:축|방향)?\s*(?:의\s*)?(?:음의?\s*(?:방향|쪽)|\(-\)|반대|역방향|-(?=\s*방향)|negative))?"
)
_COMPONENT = re.compile(r"(?<![A-Za-z0-9])[DUFMRV]([XYZxyz])(?![A-Za-z0-9])")
_DOWN = re.compile(r"아래|하향|하방|밑으로|중력|내리눌|누르|매달|매다|\bdown|gravity|침하|가라앉", re.I)
_PLUMB = re.compile(r"연직|수직|vertical|처짐|deflection", re.I)
_UP = re.compile(r"위로|위\s?방향|위쪽으로|윗방향|윗쪽|상향|상방|양력|들어\s?올|들리|\bup\b|\bupward|uplift|융기", re.I)
_BACK = re.compile(
    r"아니라|말고|아니고|대신|instead\s+of|rather\s+than|(?<![가-힣])아니다?(?![가-힣])|정정|아차|no,|no\s+wait|wait,|sorry"
    r"|actually|i\s+mean|scratch\s+that|make\s+(?:it|that)",
    re.I,
)
_REPAIR = re.compile(rf"\W*(?:{_BACK.pattern})\W*", re.I)
_FORWARD = ("아니라", "말고", "아니고", "대신")


@dataclass(frozen=True)
class Ids:
    """Ids named together: 13~16, "7번과 9번". kind is "node", "member" or "" when the noun is left out."""

    ids: tuple[int, ...]
    kind: str
    start: int
    end: int


@dataclass(frozen=True)
class Direction:
    """A direction: axis X, Y, Z or local_x…; sign -1 or +1 when words give it, 0 when the number's own sign decides."""

    axis: str
    sign: int
    start: int
    end: int


@dataclass
class RequestMentions:
    """All that was read from one text, without what the text itself takes back.

    Attributes:
        text: the text in plain form; masked: the same with names blanked out.
        numbers: numbers that are not ids, in order.
        ids, directions: in order.
        components: (place, axis letter) of DX, FY, MZ … in the text.
        sizes: dimensions written as 400x200x8x13.
    """

    text: str
    masked: str
    numbers: list[Number] = field(default_factory=list)
    ids: list[Ids] = field(default_factory=list)
    directions: list[Direction] = field(default_factory=list)
    components: list[tuple[int, str]] = field(default_factory=list)
    sizes: list[list[float]] = field(default_factory=list)

    @property
    def forces(self) -> list[Number]:
        """Numbers with a force unit; when there is none, numbers without any unit."""
        return [n for n in self.numbers if n.force] or [n for n in self.numbers if not n.unit]


def read(sentence: str) -> RequestMentions:
    """Read one request or reply."""
    text = plain(sentence)
    masked = mask(text)
    found = numbers(masked)
    ids, rest = _ids(found, masked)
    if not ids and any(n.force for n in found):
        ids, rest = _ids(found, masked, bare=True)
    directions = _directions(masked)
    gone = _taken_back(masked, [*ids, *rest, *directions])
    return RequestMentions(
        text,
        masked,
        [n for n in rest if n not in gone],
        [i for i in ids if i not in gone],
        [d for d in directions if d not in gone],
        [(m.start(), m[1].upper()) for m in _COMPONENT.finditer(text)],
        section_sizes(text),
    )


def _ids(found: list[Number], masked: str, *, bare: bool = False) -> tuple[list[Ids], list[Number]]:
    """Split the numbers into id groups and the rest. With `bare`, whole numbers without unit or noun are ids too."""
    groups: list[Ids] = []
    rest: list[Number] = []
    previous: Number | None = None
    for n in found:
        gap = masked[previous.end : n.start] if previous else ""
        joined = bool(previous and groups and groups[-1].end >= previous.end and n.unit in ("id", ""))
        whole = n.value == int(n.value) and n.value > 0 and not (n.signed and not joined)
        noun = _noun(n, masked)
        if joined and whole and (_RANGE.fullmatch(gap) or (n.unit == "" and masked[n.start] == "-" and not gap)):
            last = groups[-1]
            ids = (*last.ids[:-1], *_span(last.ids[-1], abs(int(n.value))))
            groups[-1] = Ids(ids, last.kind or noun, last.start, n.end)
        elif joined and whole and _LIST.fullmatch(gap) and (not noun or noun == groups[-1].kind or not groups[-1].kind):
            last = groups[-1]
            groups[-1] = Ids((*last.ids, int(n.value)), last.kind or noun, last.start, n.end)
        elif joined and whole and n.unit == "" and _REPAIR.fullmatch(gap):
            groups.append(Ids((int(n.value),), noun or groups[-1].kind, n.start, n.end))
        elif whole and (n.unit == "id" or (n.unit == "" and (noun or bare))):
            groups.append(Ids((int(n.value),), noun, n.start, n.end))
        else:
            rest.append(n)
            continue
        previous = n
    return groups, rest


def _noun(n: Number, masked: str) -> str:
    """ "node" or "member" from the noun beside a number."""
    m = _NOUN_BEFORE.search(masked[: n.start]) or _NOUN_AFTER.match(masked, n.end)
    return (m.lastgroup or "") if m else ""


def _span(first: int, last: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1)) if first < last <= first + 500 else (first, last)


def _directions(masked: str) -> list[Direction]:
    """Axes and vertical words in order; words that stand together are one direction."""
    local = bool(re.search(r"(?:부재|요소|국부)\s*좌표계|로컬|\blocal", masked, re.I))
    found: list[Direction] = []
    for m in _AXIS.finditer(masked):
        negative = (m["sign"] or "").strip() == "-" or bool(m["after"])
        own = bool(m["local"]) and (m["axis"].islower() or "축" in m["local"] or local)
        axis = f"local_{m['axis'].lower()}" if own else m["axis"].upper()
        found.append(Direction(axis, -1 if negative else 0, m.start(), m.end()))
    for pattern, sign in ((_PLUMB, -1), (_DOWN, -1), (_UP, 1)):
        for m in pattern.finditer(masked):
            found.append(Direction("Z", sign, m.start(), m.end()))
    found.sort(key=lambda d: d.start)
    merged: list[Direction] = []
    for d in found:
        last = merged[-1] if merged else None
        if (
            last
            and last.axis == d.axis == "Z"
            and d.start - last.end <= 14
            and not re.search(r"\d", masked[last.end : d.start])
        ):
            merged[-1] = Direction("Z", _stronger(masked, last, d), last.start, d.end)
        else:
            merged.append(d)
    return merged


def _stronger(masked: str, a: Direction, b: Direction) -> int:
    """The sign of two vertical words: up or down wins over "vertical", any of them over the bare axis."""
    words = masked[a.start : b.end]
    if _UP.search(words):
        return 1
    return -1 if _DOWN.search(words) or _PLUMB.search(words) else a.sign or b.sign


def _taken_back(masked: str, mentions: list[Ids | Number | Direction]) -> list[Ids | Number | Direction]:
    """Mentions that the text corrects: "10kN, 아니 15kN", "13번이 아니라 14번", "7에서 9까지 말고 7이랑 9만"."""
    gone: list[Ids | Number | Direction] = []
    for m in _BACK.finditer(masked):
        before = [x for x in mentions if x.end <= m.start()]
        after = sorted((x for x in mentions if x.start >= m.end()), key=lambda x: x.start)
        if m[0] in _FORWARD:
            clause = max(masked.rfind(c, 0, m.start()) for c in ",.;!?")
            struck = [x for x in before if x.start > clause and any(_alike(x, y) for y in after)]
        else:
            struck = [x for x in sorted(before, key=lambda x: -x.start) if after and _alike(x, after[0])][:1]
        gone += struck
        gone += [x for x in before for s in struck if type(x) is type(s) and _content(x) == _content(s)]
    return gone


def _alike(a: Ids | Number | Direction, b: Ids | Number | Direction) -> bool:
    """The same kind of thing, so that one can replace the other."""
    if isinstance(a, Number) and isinstance(b, Number):
        return (a.force or a.unit) == (b.force or b.unit) or not a.unit or not b.unit or bool(a.force and b.force)
    return type(a) is type(b)


def _content(x: Ids | Number | Direction) -> object:
    return (x.ids if isinstance(x, Ids) else (x.value, x.unit)) if not isinstance(x, Direction) else (x.axis, x.sign)
