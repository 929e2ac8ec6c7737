"""Particles that follow the spoken last syllable: 10kN을 but 10kN/m를, LCB1로 but LCB3으로.

A text under construction marks a particle as `^을`, an optional one as `^?을`; `settle` writes them out.
"""

import re
from collections.abc import Callable

from data.structural.language.numerals import sino

AFTER_VOWEL = {
    "을": "를",
    "이": "가",
    "은": "는",
    "과": "와",
    "으로": "로",
    "이랑": "랑",
    "이야": "야",
    "이에요": "예요",
    "이고": "고",
    "이면": "면",
    "이라는": "라는",
    "이요": "요",
}
_MARK = re.compile(r"\^(\??)(" + "|".join(sorted(AFTER_VOWEL, key=len, reverse=True)) + ")")


def _spoken(endings: dict[str, str]) -> dict[str, str]:
    """Name → the last syllable as it is spoken, from that syllable → names, separated by `|`."""
    return {name: syllable for syllable, names in endings.items() for name in names.split("|")}


# What engineers write in Latin letters or signs.
_UNITS = _spoken(
    {
        "터": (
            "kN/m²|kN/m2|kN/㎡|tonf/m²|tonf/m2|tonf/㎡|kgf/m²|kgf/m2|kgf/㎡|N/m²|N/m2|N/㎡|m²|㎡|/m|kN·m|kN-m|kNm"
            "|kN.m|N·m|f·m|f-m|N-m|mm|cm|㎝|㎜"
        ),
        "턴": "kN",
        "프": "tonf|kgf",
        "트": "%",
        "도": "°C",
    }
)
_WORDS = _spoken(
    {
        "드": "node|load|mode|fixed|pinned|dead|wind|grade|code",
        "즈": "nodes",
        "버": "member",
        "빔": "beam",
        "럼": "column|spectrum",
        "트": "moment|support|drift|displacement|self-weight|weight|joint|element",
        "스": "case|force|analysis|xlsx|release|strength",
        "보": "combo",
        "션": "section|direction|reaction|combination",
        "리": "story|free",
        "램": "diagram",
        "얼": "material|axial",
        "핀": "pin",
        "러": "roller",
        "어": "floor|shear",
        "브": "live",
        "터": "factor",
        "이": "csv",
        "프": "pdf",
        "슨": "json",
        "일": "file",
        "셀": "excel",
        "큐": "eq",
    }
)
_LETTERS = {"L": "엘", "M": "엠", "N": "엔", "R": "알"}


def final_consonant(text: str) -> str:
    """The final consonant of the last spoken syllable of `text`, as a jamo; empty when it ends in a vowel."""
    syllable = _last_syllable(text)
    index = (ord(syllable) - 0xAC00) % 28
    return "" if index == 0 else chr(0x11A7 + index)


def particle(text: str, form: str) -> str:
    """The form of a particle (named by its after-consonant form) that fits after `text`."""
    final = final_consonant(text)
    if not final or (form == "으로" and final == "\u11af"):
        return AFTER_VOWEL[form]
    return form


def settle(text: str, coin: Callable[[], bool], wrong: Callable[[], bool] | None = None) -> str:
    """Write out every marked particle; `coin` decides the optional ones, `wrong` makes a deliberate slip."""
    while match := _MARK.search(text):
        optional, form = match.groups()
        before = text[: match.start()]
        written = ""
        if not (optional and not coin()):
            written = particle(before, form)
            if wrong and wrong():
                written = form if written != form else AFTER_VOWEL[form]
        text = before + written + text[match.end() :]
    return text


def _last_syllable(text: str) -> str:
    text = re.sub(r"(?<=\S)\([^()]*\)$", "", text.rstrip()).rstrip(" )\"'”’.,")
    if not text:
        return "아"
    if "가" <= text[-1] <= "힣":
        return text[-1]
    for unit in sorted(_UNITS, key=len, reverse=True):
        if text.endswith(unit):
            return _UNITS[unit]
    if number := re.search(r"\d+(\.\d+)?$", text):
        return sino(float(number.group()))[-1]
    if word := re.search(r"[A-Za-z][A-Za-z-]*$", text):
        spoken = _WORDS.get(word.group().lower())
        if spoken and not (word.group().isupper() and len(word.group()) < 3):
            return spoken
        if text.endswith(("m", "N")) and re.search(r"\d ?[mN]$", text):
            return "터" if text.endswith("m") else "턴"
        return _LETTERS.get(text[-1].upper(), "아")
    return "아"
