"""Quantities with units: which values each split may use, and how people write them.

Load units are copied, never converted: the value as spoken plus `unit`; kN-based units are left out of the call.
Lengths are converted by powers of ten.
"""

from dataclasses import dataclass

from data.structural.language.numerals import plain, sino
from data.structural.language.speaker import Choice, Speaker, ch

# kind: unit: (values in 1/100, spellings)
_STEPS: dict[str, dict[str, tuple[range, Choice]]] = {
    "force": {
        "kN": (range(100, 12100, 100), ch("kN|kN|kN|kN|킬로뉴턴", val="KN")),
        "tonf": (range(50, 1250, 10), ch("tonf|톤|tonf", val="톤포스", test="ton")),
        "kgf": (range(10000, 155000, 1000), ch("kgf")),
        "N": (range(50000, 950000, 10000), ch("N|뉴턴")),
    },
    "moment": {
        "kN-m": (range(200, 9100, 100), ch("kN·m|kN-m|kN.m|kNm", val="킬로뉴턴미터", test="kN*m")),
        "tonf-m": (range(50, 850, 10), ch("tonf·m|tonf-m", val="tonf.m", test="톤·m")),
        "kgf-m": (range(10000, 90000, 1000), ch("kgf·m|kgf-m")),
    },
    "line": {
        "kN/m": (range(200, 4050, 50), ch("kN/m|kN/m|kN/m", val="킬로뉴턴/m", test="kN per m")),
        "tonf/m": (range(30, 510, 10), ch("tonf/m|톤/m", test="ton/m")),
        "kgf/m": (range(20000, 125000, 1000), ch("kgf/m")),
        "N/m": (range(100000, 900000, 10000), ch("N/m")),
    },
    "area": {
        "kN/m2": (range(50, 910, 10), ch("kN/m2|kN/㎡|kN/m²")),
        "kgf/m2": (range(10000, 61000, 1000), ch("kgf/㎡|kgf/m2|kgf/m²")),
        "tonf/m2": (range(10, 130, 5), ch("tonf/㎡|tonf/m2", test="톤/㎡")),
    },
}
BASE = {"force": "kN", "moment": "kN-m", "line": "kN/m", "area": "kN/m2"}
_RESIDUES = {"train": (0, 1, 2, 3, 5, 6, 8, 9, 10), "validation": (4,), "test": (7,)}


@dataclass(frozen=True)
class Amount:
    """A magnitude (always positive) with its unit; `spoken` is how the number is written in this sentence."""

    value: float
    kind: str
    unit: str

    @property
    def unit_argument(self) -> dict[str, str]:
        return {} if self.unit == BASE[self.kind] else {"unit": self.unit}


def draw(speaker: Speaker, split: str, kind: str, unit: str = "") -> Amount:
    """A magnitude from the value pool of a split; small values are likelier, as in practice."""
    if not unit:
        others = [u for u in _STEPS[kind] if u != BASE[kind]]
        unit = BASE[kind]
        if "plain_unit" not in speaker.want and (
            speaker.show("unit") or speaker.chance(0.25 if split == "train" else 0.05)
        ):
            unit = speaker.at(others)
            speaker.shown.append("unit")
    steps, _ = _STEPS[kind][unit]
    pool = [s for s in steps if s % 11 in _RESIDUES[split]]
    if kind == "force" and unit == "kN" and speaker.chance(0.2):
        pool = [s for s in range(150, 3050, 50) if s % 100 and s % 11 in _RESIDUES[split]]
    place = speaker.rng.random() ** 1.6
    return Amount(_number(pool[int(place * len(pool))] / 100), kind, unit)


def write(speaker: Speaker, amount: Amount, sign: int = 1) -> str:
    """`10kN`, `-10 kN`, `십 kN`: number and unit as one of many hands would type them."""
    number = plain(amount.value)
    if speaker.korean and amount.value < 10000 and speaker.show("number_form"):
        spelled = "반" if amount.value == 0.5 and amount.unit == "tonf" else sino(amount.value)
        unit = spell(speaker, amount)
        minus = "마이너스 " if sign < 0 else ""
        if spelled == "반":
            return f"{minus}반 톤"
        return f"{minus}{spelled} {unit}"
    text = ("-" if sign < 0 else "") + number
    gap = " " if (speaker.lang == "en" and speaker.chance(0.75)) or (speaker.korean and speaker.chance(0.15)) else ""
    return text + gap + spell(speaker, amount)


def spell(speaker: Speaker, amount: Amount) -> str:
    """The unit alone, in one of its spellings; Hangul spellings only in Korean sentences."""
    options = _STEPS[amount.kind][amount.unit][1]
    return speaker.pick(
        options, lambda u: speaker.lang == "ko" or u.replace("·", "").replace("²", "").isascii() or "㎡" in u
    )


def metres(speaker: Speaker, value: float) -> str:
    """A length given in m, written in m, cm or mm; the call always has metres."""
    gap = " " if speaker.lang == "en" else ""
    if speaker.show("unit_conversion"):
        if value < 1 and speaker.chance(0.4):
            return f"{plain(_number(round(value * 100, 6)))}{gap}cm"
        return f"{plain(_number(round(value * 1000, 6)))}{gap}mm"
    return f"{plain(value)}{gap}m"


def _number(value: float) -> float:
    return int(value) if float(value).is_integer() else round(value, 6)
