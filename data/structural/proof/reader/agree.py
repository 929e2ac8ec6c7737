"""Does the text say what the calls say? `agrees` answers; it never looks at how the text was made."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from data.structural.proof.reader import quantity_calls as amounts
from data.structural.proof.reader import whole
from data.structural.proof.reader.conversation import Conversation, gather
from data.structural.proof.reader.numbers import Number
from data.structural.proof.reader.quantity_calls import same
from data.structural.proof.reader.whole import ID_KINDS

Call = dict[str, Any]

NUMBERED = {"factor", "num_modes", "mode", "steps", "count", "response_modification", "importance_factor"}
AXIS_ARGUMENTS = ("direction", "axis", "component", "roller_direction")
NAMED = ("load_case", "load_name", "section", "material", "grade", "site_class")
MIDDLE = r"중앙|가운데|중간|정중|한복판|mid|cent(?:er|re)"
CASE_WORDS = {
    "고정하중|사하중|dead": "D",
    "활하중|live": "L",
    "풍하중|바람|wind": "W",
    "지진|seismic|earthquake": "E",
    "적설|눈|snow": "S",
}
KEYWORDS = {
    "effective_ground_acceleration": r"유효\s*지반|가속도|(?<![A-Za-z])S\s*=|ground\s+acceleration",
    "response_modification": r"반응\s*수정|(?<![A-Za-z])R\s*(?:=|값|계수)|response\s+modification",
    "importance_factor": r"중요도|(?<![A-Za-z])I_?E\s*=?|importance",
}
DIRECTED_CHECKS: dict[str, Callable[[Call, Conversation], str]] = {
    **dict.fromkeys(amounts.DIRECTED, amounts.check_load),
    "add_floor_load": amounts.check_floor,
    "set_support_settlement": amounts.check_settlement,
    "set_spring_support": amounts.check_spring,
    "move_node": amounts.check_offset,
    "copy_members": amounts.check_offset,
}


def agrees(
    sentence: str, calls: Sequence[Call], history: Sequence[dict[str, Any]] = (), names: Sequence[str] = ()
) -> tuple[bool, str]:
    """Whether the request, read on its own, supports every number, unit, direction, sign and id of the calls.

    Args:
        sentence: the user's last turn; Korean, English or both.
        calls: `{"name", "arguments"}`, in the project's own tool and argument names.
        history: the turns before it; they fill in what the sentence leaves out.
        names: load cases and combinations of the model: one that the sentence names must be used by some call.

    Returns:
        (True, "") or (False, why): the first argument that the text does not support.
    """
    seen = gather(sentence, history)
    for call in calls:
        reason = _check(call, seen)
        if reason:
            return False, f"{call['name']}: {reason}"
    reason = whole.lists_used(calls, seen) or whole.in_order(calls, seen) or whole.names_used(calls, seen, names)
    return not reason, reason


def _check(call: Call, seen: Conversation) -> str:
    a = call["arguments"]
    reason = DIRECTED_CHECKS[call["name"]](call, seen) if call["name"] in DIRECTED_CHECKS else ""
    if reason:
        return reason
    for key, value in a.items():
        if key in ID_KINDS:
            said = {i for g in seen.ids(ID_KINDS[key]) for i in g.ids}
            if missing := set(value if isinstance(value, list) else [value]) - said:
                return f"{key} {sorted(missing)} is not in the text"
        elif key in AXIS_ARGUMENTS and not _axis_said(call["name"], key, value, seen):
            return f"{key} {value} is not in the text"
        elif key in NUMBERED and not _number_said(key, value, seen):
            return f"{key} {value:g} is not in the text"
        elif key in NAMED and not _name_said(value, seen):
            return f"{key} {value} is not in the text"
        elif key in OTHER and (reason := OTHER[key](call, seen)):
            return reason
    return _coordinates(a, seen) if call["name"] == "add_node" else ""


def _axis_said(tool: str, key: str, value: str, seen: Conversation) -> bool:
    if tool in DIRECTED_CHECKS or value in ("N", "T"):
        return True
    letter = value[-1].upper()
    if key == "component" and tool == "get_member_force":
        axis = "강축|strong|major" if value in ("My", "Vz") else "약축|weak|minor"
        return seen.says(value) or seen.matches(axis) or not seen.matches("강축|약축|[MV][yz]")
    return letter in seen.axes()


def _number_said(key: str, value: float, seen: Conversation) -> bool:
    named = _beside(KEYWORDS[key], seen) if key in KEYWORDS else []
    if named:
        return any(same(n.value, value) for n in named)
    counts = key in ("num_modes", "mode", "steps", "count")
    if seen.numbers(lambda n: same(n.value, value) and (not counts or n.unit in ("", "count", "mode", "id"))):
        return True
    if key == "mode" and seen.matches(rf"(?<!\d){value}\s*번(?:째)?\s*모드"):
        return True
    if key in ("steps", "count") and any(g.ids == (value,) and not g.kind for g in seen.ids("")):
        return True
    words = {1: "한 번|하나|기본|once|first", 2: "둘|twice|두 번|second", 3: "셋|thrice|third"}
    return seen.matches(words.get(int(value), r"(?!)"))


def _beside(keyword: str, seen: Conversation) -> list[Number]:
    """The number after each occurrence of a keyword in the request, or the one that ends just before it."""
    found = []
    for m in re.finditer(keyword, seen.now.masked, re.I):
        after = next((n for n in seen.now.numbers if n.start >= m.end()), None)
        before = [n for n in seen.now.numbers if n.end <= m.start() <= n.end + 2]
        found += [after] if after and after.start - m.end() <= 10 else before[-1:]
    return found


def _name_said(value: str, seen: Conversation) -> bool:
    if seen.says(value):
        return True
    return any(value.upper().startswith(letter) and seen.matches(word) for word, letter in CASE_WORDS.items())


def _names_checked(key: str) -> Callable[[Call, Conversation], str]:
    def check(call: Call, seen: Conversation) -> str:
        missing = [v for v in call["arguments"][key] if not _name_said(v, seen)]
        return f"{key} {missing} is not in the text" if missing else ""

    return check


def _story(call: Call, seen: Conversation) -> str:
    story = call["arguments"]["story"]
    floors = seen.numbers(lambda n: n.unit == "story")
    level = re.match(r"\d+", story)
    ordinal = ["", "first|ground", "second", "third", "fourth", "fifth", "sixth"]
    if level and int(level[0]) < len(ordinal) and seen.matches(rf"\b(?:{ordinal[int(level[0])]})\s+(?:floor|stor)"):
        return ""
    top = story.upper().startswith("R") and seen.matches("지붕|옥상|최상층|루프|roof|rf|top")
    if top or seen.says(story) or (level and any(n.value == int(level[0]) for n in floors)):
        return ""
    return f"story {story} is not in the text"


def _factors(call: Call, seen: Conversation) -> str:
    """Each case with its factor beside it: 1.2DL, DL×1.2, "DL 1.2", -1.0EY."""
    known = any(re.search(re.escape(case), seen.now.text, re.I) for case in call["arguments"]["factors"])
    text = seen.now.text if known else " ".join(r.text for r in seen.earlier)
    for case, factor in call["arguments"]["factors"].items():
        name, number = re.escape(case), r"([+-]?)\s*(\d+(?:\.\d+)?|\.\d+)"
        ahead = re.findall(rf"{number}\s*[x*·]?\s*{name}(?![A-Za-z0-9])", text, re.I)
        behind = re.findall(
            rf"{name}(?![A-Za-z0-9])\s*(?:에|은|는|의|를|계수|:|=|x|\*|\s)*{number}(?![\d.])(?!\s*[A-Za-z*])",
            text,
            re.I,
        )
        said = {float(v) * (-1 if s == "-" else 1) for s, v in ahead + behind}
        bare = re.search(rf"(?<![\d.A-Za-z]){name}(?![A-Za-z0-9])", text, re.I)
        if not any(same(s, factor) for s in said) and not (bare and not said and abs(factor) == 1.0):
            return f"factor {factor:g} of {case} is not in the text"
    return ""


def _ratio_of(key: str) -> Callable[[Call, Conversation], str]:
    def check(call: Call, seen: Conversation) -> str:
        value = call["arguments"][key]
        if any(same(r, value) for r in _ratios(seen)) or _place_word(key, value, seen):
            return ""
        return f"{key} {value:g} is not in the text"

    return check


def _position(call: Call, seen: Conversation) -> str:
    a = call["arguments"]
    from_j = seen.matches(r"j\s?단|오른쪽\s?(?:단|끝)|끝\s?단|right\s+end|far\s+end|j-?end")
    if a.get("position_type") == "distance":
        lengths = seen.numbers(lambda n: n.unit in ("mm", "cm", "m")) or seen.numbers(lambda n: not n.unit)
        near = any(n.metres is not None and same(n.metres, a["position"]) for n in lengths)
        return "" if near or (from_j and lengths) else f"position {a['position']:g} m is not in the text"
    value = a["position"]
    ratios = _ratios(seen)
    if any(same(r, value) or (from_j and same(1 - r, value)) for r in ratios) or _place_word("position", value, seen):
        return ""
    return f"position {value:g} is not in the text"


def _ratios(seen: Conversation) -> list[float]:
    found = seen.numbers(lambda n: n.unit in ("%", "ratio") or (not n.unit and 0 <= n.value <= 1))
    return [n.value / 100 if n.unit == "%" else n.value for n in found]


def _place_word(key: str, value: float, seen: Conversation) -> bool:
    """Places said in words: the middle, the ends, halves."""
    half = seen.matches("절반|반쪽|반만|half|전반|후반")
    said = {
        0.5: seen.matches(MIDDLE) or half,
        0.0: seen.matches(r"i\s?단|시작|왼쪽|처음|앞|start|i-?end|left") or half,
        1.0: seen.matches(r"j\s?단|끝|오른쪽|뒤|end|right") or half,
        0.25: seen.matches(MIDDLE) and half and key == "start",
        0.75: seen.matches(MIDDLE) and half and key == "end",
    }
    return bool(said.get(value, False))


def _limit(call: Call, seen: Conversation) -> str:
    value = call["arguments"]["limit_ratio"]
    return "" if any(same(r, value) and r > 0 for r in _ratios(seen)) else f"limit_ratio {value:g} is not in the text"


def _acceleration(call: Call, seen: Conversation) -> str:
    value = call["arguments"]["effective_ground_acceleration"]
    found = _beside(KEYWORDS["effective_ground_acceleration"], seen) or seen.numbers(lambda n: n.unit in ("g", "", "%"))
    good = any(same(n.value / (100 if n.unit == "%" else 1), value) for n in found)
    return "" if good else f"effective_ground_acceleration {value:g} is not in the text"


def _temperature(call: Call, seen: Conversation) -> str:
    value = call["arguments"]["delta_t"]
    found = seen.numbers(lambda n: n.unit in ("deg", ""))
    cooler = seen.matches("식|하강|내려|떨어|감소|냉각|낮아|cool|drop|fall|decreas|lower")
    good = [n for n in found if same(n.value, value, sign=False) and (value < 0) == (n.value < 0 or cooler)]
    return "" if good else f"delta_t {value:g} is not what the text says"


def _dimensions(call: Call, seen: Conversation) -> str:
    wanted = [float(d) for d in call["arguments"]["dimensions"]]
    lengths = [n.metres for n in seen.numbers(lambda n: n.unit in ("mm", "cm", "m"))]
    plain = [n.value for n in seen.numbers(lambda n: not n.unit)]
    written = [s for r in (seen.now, *seen.earlier) for s in r.sizes]
    spoken = [round(x * 1000, 6) for x in lengths if x is not None]
    in_metres = [[size * 1000 for size in sizes] for sizes in written]
    for pool in (*written, *in_metres, spoken, plain, [*plain, *spoken]):
        if all(any(same(d, p) for p in pool) for d in wanted) and _in_order(wanted, pool):
            return ""
    return f"dimensions {wanted} are not in the text"


def _in_order(wanted: list[float], pool: list[float]) -> bool:
    """The wanted sizes stand in the pool in this order, or the text names each (폭, 높이) and order says nothing."""
    at = iter(pool)
    return all(any(same(d, p) for p in at) for d in wanted) or len(wanted) == 2


def _coordinates(a: dict[str, Any], seen: Conversation) -> str:
    """x, y, z in m: labelled ("x=3"), or three numbers in a row."""
    wanted = [a["x"], a["y"], a["z"]]
    lengths = [n for n in seen.now.numbers if n.metres is not None] or seen.numbers(lambda n: n.metres is not None)
    values = [n.metres or 0.0 for n in lengths]
    if any(all(same(v, w) for v, w in zip(values[i : i + 3], wanted, strict=False)) for i in range(len(values) - 2)):
        return ""
    labelled = {}
    for n in lengths:
        label = re.search(r"([xyz])\s*(?:좌표|축|방향)?\s*(?:는|은|가|=|:)?\s*$", seen.now.masked[: n.start], re.I)
        if label:
            labelled[label[1].lower()] = n.metres
    if labelled and all(same(labelled.get(k) or 0.0, w) for k, w in zip("xyz", wanted, strict=True)):
        return ""
    return f"coordinates {wanted} are not in the text"


OTHER: dict[str, Callable[[Call, Conversation], str]] = {
    "story": _story,
    "factors": _factors,
    "position": _position,
    "start": _ratio_of("start"),
    "end": lambda call, seen: "" if call["name"] == "set_end_release" else _ratio_of("end")(call, seen),
    "limit_ratio": _limit,
    "effective_ground_acceleration": _acceleration,
    "delta_t": _temperature,
    "dimensions": _dimensions,
    "load_names": _names_checked("load_names"),
    "names": _names_checked("names"),
}
