"""A request rewritten so that one grammar can read it: plain digits, one minus sign, axes as X Y Z."""

import re
import unicodedata

SINO = {"영": 0, "공": 0, "일": 1, "이": 2, "삼": 3, "사": 4, "오": 5, "육": 6, "륙": 6, "칠": 7, "팔": 8, "구": 9}
POWERS = {"십": 10, "백": 100, "천": 1000}
ONES = ["", "하나|한", "둘|두", "셋|세|석", "넷|네|넉", "다섯", "여섯", "일곱", "여덟", "아홉"]
TENS = ["", "열", "스물|스무", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔"]

_UNIT = (
    r"k\s?n|킬로|키로|뉴턴|뉴튼|케이엔|kgf?\b|ton|tf\b|톤|m\b|mm\b|cm\b|미터|밀리|센티|센치|번|%|퍼센트|프로|도\b|도씩|도\s"
    r"|층|차|모드|개|회|단계|배|스텝|제곱"
)
_NOUN = r"(?:(?<=절점)|(?<=부재)|(?<=노드)|(?<=격점)|(?<=기둥)|(?<=요소)|(?<=보)|(?<=제)|(?<=방향)|(?<![가-힣]))"
_SINO = rf"{_NOUN}([{''.join(SINO)}십백천]+(?:점[{''.join(SINO)}]+)?)(?=\s*(?:{_UNIT}|에서\s|부터|내지|[~,]))"
_DECIMAL = rf"{_NOUN}([{''.join(SINO)}십백천]+점[{''.join(SINO)}]+)"
_BESIDE_NOUN = rf"(?<=(?:절점|부재|노드|요소)\s)([{''.join(SINO)}십백천]+)(?=에|의|과|와|을|를|은|는|이랑|\s*,|\s|$)"
AMBIGUOUS = ("사이", "이", "일", "사", "오", "구", "공", "이사")
ENGLISH = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_ENGLISH = rf"\b({'|'.join(ENGLISH)})\b(?=\s*(?:kn|n\b|tons?|tonf|kgf|m\b|mm|met|modes?|steps?|times))"
_NATIVE = (
    rf"{_NOUN}((?:{'|'.join(t for t in TENS if t)})?\s?(?:{'|'.join(o for o in ONES if o)})?)"
    rf"(?=\s*(?:{_UNIT}|군데|곳|가지))"
)


def plain(text: str) -> str:
    """The request in the form that the rest of the reader understands. Lengths and order of words are kept loosely."""
    text = unicodedata.normalize("NFKC", text).replace("×", "x")
    text = re.sub(r"[−–—‐‑]", "-", text)
    text = re.sub(r"[〜∼～]", "~", text)
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    text = _close_up(text)
    text = re.sub(r"(?<![가-힣])이번(?=에|엔|\s*작업|\s*주|\s*것|\s*건|\s*하중)", "요번", text)
    text = re.sub(r"(?<=[한두세네])\s?번(?=\s?(?:더|씩|다시))", "회", text)
    text = re.sub(r"반(?=\s*(?:톤|미터|m\b))", "0.5", text)
    text = re.sub(r"(\d+|[일이삼사오육칠팔구십]+)\s*분의\s*(\d+|[일이삼사오육칠팔구십]+)", _fraction, text)
    text = re.sub(_BESIDE_NOUN, lambda m: m[0] if m[1] in AMBIGUOUS else sino(m[1]), text)
    text = re.sub(_ENGLISH, lambda m: str(ENGLISH.index(m[1].lower()) + 1), text, flags=re.I)
    text = re.sub(_DECIMAL, lambda m: sino(m[1]), text)
    text = re.sub(_SINO, lambda m: sino(m[1]), text, flags=re.I)
    text = re.sub(_NATIVE, lambda m: native(m[1]), text, flags=re.I)
    text = re.sub(r"엑스", "X", text)
    text = re.sub(r"와이(?=\s*(?:방향|축|로|쪽|성분|변위|값|-|\d))", "Y", text)
    text = re.sub(r"(?:제트|젯트|지)(?=\s*(?:방향|축))", "Z", text)
    text = re.sub(r"(?:마이너스|minus|negative|음의|\(-\))\s*(?=[\dXYZxyz])", "-", text, flags=re.I)
    return re.sub(r"(?:플러스|plus|positive|양의|\(\+\))\s*(?=[\dXYZxyz])", "+", text, flags=re.I)


def sino(word: str) -> str:
    """Sino-Korean numerals as digits: 백이십 → 120, 십이점오 → 12.5, 이공 → 20 (read digit by digit)."""
    whole, _, decimals = word.partition("점")
    if not any(c in POWERS for c in whole):
        digits = "".join(str(SINO[c]) for c in whole).lstrip("0") or "0"
    else:
        total, digit = 0, 0
        for c in whole:
            if c in POWERS:
                total += max(digit, 1) * POWERS[c]
                digit = 0
            else:
                digit = SINO[c]
        digits = str(total + digit)
    return digits + ("." + "".join(str(SINO[c]) for c in decimals) if decimals else "")


def native(word: str) -> str:
    """Native numerals as digits: 열두 → 12, 스무 → 20; anything else comes back as it is."""
    rest = word.replace(" ", "")
    if not rest:
        return word
    total = 0
    for scale, words in ((10, TENS), (1, ONES)):
        for digit, forms in enumerate(words):
            form = next((f for f in forms.split("|") if f and rest.startswith(f)), None)
            if form:
                total += digit * scale
                rest = rest[len(form) :]
                break
    return word if rest else str(total) + " " * word.endswith(" ")


def _fraction(match: re.Match[str]) -> str:
    parts = [p if p.isdigit() else sino(p) for p in (match[2], match[1])]
    return "/".join(parts)


def _close_up(text: str) -> str:
    """Undo letter-by-letter spacing ("절 점 8 번 에"): joined when hardly a Korean word is longer than a syllable."""
    words = re.findall(r"[가-힣]+", text)
    if len(words) < 5 or sum(len(w) > 1 for w in words) > 0.1 * len(words):
        return text
    return re.sub(r"(?<=[가-힣])\s(?=[가-힣\d])|(?<=\d)\s(?=[가-힣])", "", text)
