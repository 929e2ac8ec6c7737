"""What a request names (ids, directions, magnitudes, cases …), said in one of many ways."""

from data.structural.language.lexicon import word
from data.structural.language.numerals import plain, sino
from data.structural.language.quantities import Amount, write
from data.structural.language.speaker import Choice, Speaker, ch

_ONE = ch(
    "{w} {n}번|{w} {n}번|{n}번 {w}|{n}번 {w}|{n}번 {w}|{w} {n}|{n}번째 {w}",
    val="{w} No.{n}|{w}({n}번)",
    test="No.{n} {w}|제{n}번 {w}|#{n} {w}",
)
_ONE_SPELLED = ch("{w} {n}번|{n}번 {w}", test="제{n}번 {w}")
_MANY = ch("{w} {n}번|{n}번 {w}|{n}번 {w}|{w} {n}", test="{w} 번호 {n}")
_PAIR = ch("{a}번이랑 {b}|{a}번과 {b}|{a}, {b}|{a}번, {b}", val="{a} 및 {b}", test="{a}번하고 {b}|{a}·{b}")
_RANGE = ch("{a}~{b}|{a}~{b}|{a}번부터 {b}", val="{a}부터 {b}", test="{a}번에서 {b}|{a}∼{b}")
_EN_ONE = ch("{w} {n}|{w} {n}|{w} {n}|{w} no. {n}", val="{w} #{n}", test="{w} number {n}")
_EN_PAIR = ch("{a} and {b}", test="{a} & {b}")
_EN_RANGE = ch("{a} to {b}|{a} through {b}|{a}-{b}", test="{a} thru {b}")
_FIX = ch(
    "{w}, 아니 {r}|{w} 말고 {r}|{w}, 아니다 {r}",
    val="{w}... 아 {r}",
    test="{w}가 아니라 {r}|{w}, 정정 {r}|{w} 아니고 {r}",
)
_EN_FIX = ch("{w}, no, {r}|{w}, sorry, {r}", val="{w}, I mean {r}", test="{w}, make that {r}|{w}, correction {r}")


def ids(speaker: Speaker, noun: str, numbers: list[int], others: list[int] | None = None) -> str:
    """`8번 절점`, `절점 7~9번`, `nodes 7 and 9`: one or more numbered things of a kind of the lexicon.

    `others` are ids that a speaker may name by mistake before the right one.
    """
    name = word(speaker, noun)
    if speaker.lang == "en":
        return _english_ids(speaker, name, numbers, others or [])
    if len(numbers) == 1:
        number = numbers[0]
        if speaker.show("number_form"):
            return speaker.pick(_ONE_SPELLED).format(w=name, n=sino(number))
        text = str(number)
        if others and len(others) > 1 and speaker.show("correction"):
            slip = speaker.at([o for o in others if o != number])
            text = speaker.pick(_FIX, lambda f: "가 아니" not in f).format(w=f"{slip}번", r=number)
            return f"{text}번 {name}" if speaker.chance(0.5) else f"{name} {text}번"
        return speaker.pick(_ONE).format(w=name, n=text)
    listed = _listing(speaker, numbers, _PAIR, _RANGE)
    if "부터" in listed or "에서" in listed:
        return f"{listed}번까지 {name}" if speaker.chance(0.4) else f"{name} {listed}번까지"
    return speaker.pick(_MANY).format(w=name, n=listed)


def _english_ids(speaker: Speaker, name: str, numbers: list[int], others: list[int]) -> str:
    if len(numbers) == 1:
        text = speaker.pick(_EN_ONE).format(w=name, n=numbers[0])
        if len(others) > 1 and speaker.show("correction"):
            slip = speaker.at([o for o in others if o != numbers[0]])
            text = speaker.pick(_EN_FIX).format(w=f"{name} {slip}", r=numbers[0])
        return text
    return f"{name}s {_listing(speaker, numbers, _EN_PAIR, _EN_RANGE)}"


def _listing(speaker: Speaker, numbers: list[int], pair: Choice, span: Choice) -> str:
    in_a_row = numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    if in_a_row and len(numbers) > 2 and speaker.chance(0.75):
        speaker.shown.append("range")
        return speaker.pick(span).format(a=numbers[0], b=numbers[-1])
    if len(numbers) == 2:
        return speaker.pick(pair).format(a=numbers[0], b=numbers[1])
    joined = ", ".join(map(str, numbers[:-1]))
    return f"{joined}{', ' if speaker.korean else ' and '}{numbers[-1]}"


_AXIS = ch(
    "{s}{d}방향|{s}{d}방향|{s}{d}방향|{s}{d}축 방향|{s}{d} 방향", val="{s}{d}쪽", test="전체좌표 {s}{d}방향|{s}{d}축"
)
_MINUS_AXIS = ch(
    "-{d}방향|마이너스 {d}방향|{d} 음의 방향", val="{d}축 음의 방향", test="(-){d}방향|{d}축 마이너스 방향"
)
_DOWN = ch("아래로|아래쪽으로|중력방향으로|아래 방향으로", val="하향으로|밑으로", test="연직 하향으로|연직 아래로")
_UP = ch("위로|위쪽으로|위 방향으로", val="상방향으로", test="상향으로|연직 상향으로")
_MIXED_AXIS = ch("{s}{d} direction|{s}{d}방향|global {s}{d}")
_EN_AXIS = ch(
    "in the {s}{d} direction|in {s}{d}|in the {s}{d}-direction",
    val="along {s}{d}",
    test="along the {s}{d} axis|{s}{d}-wise",
)
_EN_DOWN = ch("downward|downwards|down|in the gravity direction", val="acting down", test="vertically down")
_EN_UP = ch("upward|upwards|up", test="vertically up")


def direction(speaker: Speaker, axis: str, sign: int) -> tuple[str, int]:
    """The direction of a force, and the sign that is left for the number to carry."""
    words = axis == "Z" and speaker.chance(0.75) and "axis_only" not in speaker.want
    if words:
        speaker.shown.append("direction_word")
        if speaker.lang == "en":
            return speaker.pick(_EN_DOWN if sign < 0 else _EN_UP), 1
        return speaker.pick(_DOWN if sign < 0 else _UP), 1
    in_axis = sign < 0 and speaker.chance(0.5)
    if sign < 0:
        speaker.shown.append("sign")
    s = "-" if in_axis else ""
    if speaker.lang == "en":
        return speaker.pick(_EN_AXIS).format(s=s, d=axis), 1 if in_axis else sign
    if speaker.lang == "mixed":
        text = speaker.pick(_MIXED_AXIS).format(s=s, d=axis)
    else:
        text = speaker.pick(_MINUS_AXIS).format(d=axis) if in_axis else speaker.pick(_AXIS).format(s="", d=axis)
    return text + ("^으로" if speaker.chance(0.55) else ""), 1 if in_axis else sign


_LOAD = ch("{m}|{m}|{m} {w}|{w} {m}|{m}짜리 {w}", val="{w} {m}만큼", test="크기 {m}의 {w}|{w}^은 {m}")
_VERTICAL = ch("연직하중 {m}|수직하중 {m}|중력하중 {m}", val="{m} 연직하중", test="{m}의 수직하중|{m}짜리 연직하중")
_EN_LOAD = ch("a {m} {w}|{m}|a {w} of {m}", val="a {w} equal to {m}", test="{m} of {w}")


def magnitude(speaker: Speaker, amount: Amount, sign: int, noun: str, wrong: Amount | None = None) -> str:
    """`10kN`, `10kN 하중`, `a 10 kN load`; `wrong` is a slip that is put right in the same breath."""
    text = write(speaker, amount, sign)
    if wrong and sign > 0 and wrong.value != amount.value and speaker.show("correction"):
        slip = write(speaker, wrong, 1)
        fix = speaker.pick(_FIX, lambda f: "가 아니" not in f) if speaker.korean else speaker.pick(_EN_FIX)
        return fix.format(w=slip, r=text)
    name = word(speaker, noun)
    return speaker.either(_LOAD, _EN_LOAD).format(m=text, w=name)


def vertical(speaker: Speaker, amount: Amount) -> str:
    """`연직하중 45kN`: a magnitude whose noun already says that it acts downward."""
    speaker.shown.append("direction_word")
    return speaker.pick(_VERTICAL).format(m=write(speaker, amount))


_CASE = ch(
    "{c}에|{c}로|{c} {w}에|{c} {w}으로|{w} {c}에", val="{c} {w}에다|{w} {c}로", test="{c} {w}에다가|{c} {w} 쪽으로"
)
_EN_CASE = ch("in {w} {c}|under {c}|to {w} {c}|for {c}", val="within {c}", test="using {w} {c}|as part of {c}")


def case(speaker: Speaker, name: str) -> str:
    """`DL에`, `EX 하중조건으로`, `in load case WX`."""
    noun = word(speaker, "case")
    if speaker.lang == "en":
        return speaker.pick(_EN_CASE).format(c=name, w=noun)
    return (
        speaker.pick(_CASE)
        .format(c=name, w=noun)
        .replace(f"{name}로", f"{name}^으로")
        .replace(f"{noun}으로", f"{noun}^으로")
        .replace(f"{noun}은", f"{noun}^은")
    )


_UNDER = ch(
    "{c}에서|{c} 기준|{c} 기준으로|{c} 하중에서|{c}일 때",
    val="{c} 조건에서|{c}에 대해",
    test="{c} 결과로|{c} 걸었을 때|{c} 하에서",
)
_EN_UNDER = ch("under {c}|for {c}|in {c}", val="due to {c}", test="caused by {c}|with {c} active")


def under(speaker: Speaker, name: str) -> str:
    """The load whose results are asked for: `LCB2에서`, `EX 기준`, `under EX`."""
    return speaker.either(_UNDER, _EN_UNDER).format(c=name)


_STORY = {
    "2F": ch("2층|2F|2층 바닥", val="이층", test="2층 슬래브"),
    "3F": ch("3층|3F|3층 바닥", val="삼층", test="3층 슬래브"),
    "RF": ch("지붕층|RF|옥상층|지붕", val="루프층", test="최상층|옥상 바닥"),
}
_EN_STORY = {
    "2F": ch("2F|the 2F floor|the second floor", test="level 2F"),
    "3F": ch("3F|the 3F floor|the third floor", test="level 3F"),
    "RF": ch("RF|the roof", test="the roof level"),
}


def story(speaker: Speaker, name: str) -> str:
    """`2층`, `지붕층`, `the roof`; names outside the model are said as they are."""
    known = _STORY if speaker.korean else _EN_STORY
    if name not in known:
        return name.replace("F", "층") if speaker.korean and speaker.chance(0.6) else name
    return speaker.pick(known[name], lambda t: speaker.lang != "mixed" or t.isascii() or "층" in t)


def ratio(speaker: Speaker, value: float) -> str:
    """A share of a length: 0.25 as 25% or 0.25."""
    if speaker.chance(0.6):
        speaker.show("unit_conversion")
        return f"{plain(round(value * 100, 6))}%"
    return plain(value)
