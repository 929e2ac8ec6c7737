"""Korean number words: 12.5 is 십이점오 when spoken with a unit, and two undo steps are 두 번."""

DIGITS = "영일이삼사오육칠팔구"
_NATIVE_ONES = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
_NATIVE_TENS = ("", "열", "스물", "서른")


def plain(value: float) -> str:
    """A number as it is typed: 10, 12.5, -3; never 10.0 and never an exponent."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def sino(value: float) -> str:
    """The Sino-Korean reading of a number from 0 up to 99,999,999, decimals digit by digit."""
    if value < 0:
        return "마이너스 " + sino(-value)
    whole, _, fraction = plain(value).partition(".")
    text = _sino_whole(int(whole))
    return text + ("점" + "".join(DIGITS[int(d)] for d in fraction) if fraction else "")


def native(value: int) -> str:
    """The native reading before a counter (한 번, 두 개), 1 to 39."""
    if value == 20:
        return "스무"
    return _NATIVE_TENS[value // 10] + _NATIVE_ONES[value % 10]


def _sino_whole(value: int) -> str:
    if value >= 10_000:
        head = "" if value // 10_000 == 1 else _sino_whole(value // 10_000)
        return head + "만" + (_sino_whole(value % 10_000) if value % 10_000 else "")
    if value == 0:
        return "영"
    text = ""
    for size, word in ((1000, "천"), (100, "백"), (10, "십"), (1, "")):
        digit, value = divmod(value, size)
        if digit:
            text += ("" if digit == 1 and word else DIGITS[digit]) + word
    return text
