"""Numbers with their units, as a request writes them."""

import re
from dataclasses import dataclass, replace

NODE = r"절점|절첨|노드|격점|조인트|지점|nodes?|joints?|supports?"
MEMBER = r"부재|부제|요소|기둥|가새|큰보|작은보|보|거더|멤버|members?|beams?|columns?|braces?|girders?|elements?"
FORCES = ("kN", "N", "kgf", "tonf")
TO_METRES = {"mm": 0.001, "cm": 0.01, "m": 1.0}

_FORCE = (
    r"(?P<kN>k\s?n|킬로\s?뉴[턴튼]|키로\s?뉴[턴튼]|케이엔)|(?P<kgf>kgf|kg|킬로\s?그[램람](?:힘|중)?)|(?P<N>n|뉴[턴튼])"
)
_FORCE += r"|(?P<tonf>tonf|tons?|tf|t|톤(?:힘|중|포스)?)"
_PER = (
    r"(?P<area>\s?(?:/|per\s)\s?(?:m\^?2|제곱\s?미터|평방\s?미터|square\s?met(?:er|re)s?|sqm))"
    r"|(?P<line>\s?(?:/|per\s)\s?(?:met(?:er|re)s?|m|미터))"
    r"|(?P<moment>\s?[·*.⋅∙•-]?\s?(?:m(?!m)|미터))"
)
_OTHER = {
    "mm": r"mm|밀리(?:미터)?|미리",
    "cm": r"cm|센[티치](?:미터)?",
    "m": r"met(?:er|re)s?|m|미터",
    "%": r"%|퍼센트|프로(?!그램|젝트)|percent",
    "deg": r"도(?!면|록|움|로|와\b)|°\s?c?|℃|degrees?|deg",
    "g": r"g",
    "id": r"번째|번|호(?!출)|(?=까지|만(?!큼|들))",
    "story": r"층|f",
    "mode": r"차(?!이|량)|모드|modes?|(?:st|nd|rd|th)\s+mode",
    "count": r"개|회(?!전)|단계|스텝|steps?|times|군데|곳|가지|배(?!치|열|관|근|수)",
    "other": r"(?:월|일|년|시|분|명|원|주|페이지|쪽|동|세대|평)(?=$|[^가-힣]|에|까지|부터|은|이|의|쯤|경|자)",
}
_END = r"(?![a-z0-9])"
_UNIT = re.compile(
    rf"\s?(?:(?:(?:{_FORCE})(?:{_PER})?){_END}|"
    + "|".join(f"(?P<u_{i}>{p})(?:{_END})" for i, p in enumerate(_OTHER.values()))
    + ")",
    re.I,
)
_NUMBER = re.compile(
    r"(?P<sign>(?<![\d)~])[+-]\s?)?(?P<value>\d+(?:\.\d+)?|(?<![A-Za-z\d])\.\d+)(?:\s?/\s?(?P<under>\d+))?"
)
_SECTION = re.compile(r"(?:[A-Za-zㅁ□◻]{1,3}\s?-?\s?)?\d+(?:\.\d+)?(?:\s?[x*X]\s?\d+(?:\.\d+)?)+")
_NAMED = re.compile(
    r"KDS\s*\(?[\d\s:.-]*\d|(?<![A-Za-z0-9/])(?!(?:no|n|node|nodes|member|members|beam|beams|column|columns|m|e|x|y|z)\d)"
    r"[A-Za-z]+[-_]?\d+[A-Za-z0-9_-]*(?!\.\d)",
    re.I,
)
_LINK = re.compile(r"\s*(?:,|·|~|-|to|and|및|와|과|이랑|랑|하고|에서|부터|->|→)\s*|\s*,?\s*[xyz]\s*=?\s*", re.I)
_AFTER_NOUN = re.compile(rf"(?:{NODE}|{MEMBER})\s*$", re.I)


@dataclass(frozen=True)
class Number:
    """A number in the text.

    Attributes:
        value: as written, its own sign included.
        unit: "kN", "kgf/m", "tonf-m", "N/m2", "mm", "%", "ratio" (a fraction), "id", "count", "story", …; "" for none.
        start, end: where it stands, its unit included.
        signed: it carries a sign of its own.
    """

    value: float
    unit: str
    start: int
    end: int
    signed: bool = False

    @property
    def force(self) -> str:
        """kN, N, kgf or tonf when it is a force of any kind, else ""."""
        base = re.split(r"[/-]", self.unit)[0]
        return base if base in FORCES else ""

    @property
    def metres(self) -> float | None:
        """Its length in m; a number without a unit counts as m; None for anything else."""
        if self.unit == "":
            return self.value
        return self.value * TO_METRES[self.unit] if self.unit in TO_METRES else None


def mask(text: str) -> str:
    """The text with names that hold digits (sections, grades, codes, load names) blanked out, places kept."""
    for pattern in (_SECTION, _NAMED):
        text = pattern.sub(lambda m: "¤" * len(m[0]), text)
    return text


def section_sizes(text: str) -> list[list[float]]:
    """Dimensions (mm) written as 400x200x8x13 or 60x70cm, one list for each."""
    result = []
    for m in _SECTION.finditer(text):
        unit = re.match(r"\s?(cm|m(?!m))(?![a-z])", text[m.end() :], re.I)
        scale = TO_METRES[unit[1].lower()] * 1000 if unit else 1.0
        result.append([float(d) * scale for d in re.findall(r"\d+(?:\.\d+)?", m[0])])
    return result


def numbers(masked: str) -> list[Number]:
    """Every number of a masked text in order; one in a list or range takes the unit that stands at the list's end."""
    found = []
    for m in _NUMBER.finditer(masked):
        value = float(m["value"])
        unit, end = _unit_at(masked, m.end())
        if m["under"] and float(m["under"]):
            value, unit = value / float(m["under"]), "ratio"
        sign = (m["sign"] or "").strip()
        found.append(Number(-value if sign == "-" else value, unit, m.start(), end, bool(sign)))
    for i in range(len(found) - 2, -1, -1):
        here, after = found[i], found[i + 1]
        gap = masked[here.end : after.start]
        named = after.force and _AFTER_NOUN.search(masked[: here.start])
        if not here.unit and not named and after.unit not in ("other", "ratio") and _LINK.fullmatch(gap):
            found[i] = replace(here, unit=after.unit)
    return _close_brackets(found, masked)


def _unit_at(text: str, at: int) -> tuple[str, int]:
    m = _UNIT.match(text, at)
    if not m:
        return "", at
    groups = {k for k, v in m.groupdict().items() if v is not None}
    for base in FORCES:
        if base in groups:
            per = {"area": "/m2", "line": "/m", "moment": "-m"}
            return base + next((s for k, s in per.items() if k in groups), ""), m.end()
    index = next(int(k[2:]) for k in groups if k.startswith("u_"))
    return list(_OTHER)[index], m.end()


def _close_brackets(found: list[Number], text: str) -> list[Number]:
    """Numbers in brackets take the length unit after the bracket: (6000, 2500, 4000) mm."""
    for m in re.finditer(r"[(\[]([^()\[\]]*)[)\]]\s?(mm|cm|m)(?![a-z0-9])", text, re.I):
        for i, n in enumerate(found):
            if m.start() < n.start < m.end() and not n.unit:
                found[i] = replace(n, unit=m[2].lower())
    return found
