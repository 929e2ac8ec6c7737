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

# The last spoken syllable of what engineers write in Latin letters or signs.
_UNITS = {
    "kN/m²": "터",
    "kN/m2": "터",
    "kN/㎡": "터",
    "tonf/m²": "터",
    "tonf/m2": "터",
    "tonf/㎡": "터",
    "kgf/m²": "터",
    "kgf/m2": "터",
    "kgf/㎡": "터",
    "N/m²": "터",
    "N/m2": "터",
    "N/㎡": "터",
    "m²": "터",
    "㎡": "터",
    "/m": "터",
    "kN·m": "터",
    "kN-m": "터",
    "kNm": "터",
    "kN.m": "터",
    "N·m": "터",
    "f·m": "터",
    "f-m": "터",
    "N-m": "터",
    "mm": "터",
    "cm": "터",
    "kN": "턴",
    "tonf": "프",
    "kgf": "프",
    "%": "트",
    "°C": "도",
    "㎝": "터",
    "㎜": "터",
}
_WORDS = {
    "node": "드",
    "nodes": "즈",
    "member": "버",
    "beam": "빔",
    "column": "럼",
    "load": "드",
    "moment": "트",
    "case": "스",
    "combo": "보",
    "section": "션",
    "support": "트",
    "direction": "션",
    "story": "리",
    "drift": "트",
    "reaction": "션",
    "displacement": "트",
    "force": "스",
    "diagram": "램",
    "material": "얼",
    "analysis": "스",
    "mode": "드",
    "fixed": "드",
    "pinned": "드",
    "pin": "핀",
    "roller": "러",
    "free": "리",
    "floor": "어",
    "live": "브",
    "dead": "드",
    "wind": "드",
    "self-weight": "트",
    "weight": "트",
    "factor": "터",
    "xlsx": "스",
    "csv": "이",
    "pdf": "프",
    "json": "슨",
    "combination": "션",
    "release": "스",
    "file": "일",
    "excel": "셀",
    "spectrum": "럼",
    "shear": "어",
    "axial": "얼",
    "dead load": "드",
    "grade": "드",
    "strength": "스",
    "code": "드",
    "joint": "트",
    "element": "트",
    "eq": "큐",
}
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
