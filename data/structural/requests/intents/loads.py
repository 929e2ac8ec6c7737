"""Loads on nodes and along members."""

from data.structural.language.lexicon import word
from data.structural.language.numerals import plain
from data.structural.language.quantities import metres, write
from data.structural.language.speaker import ch
from data.structural.requests import phrases as say
from data.structural.requests.request import Command, Situation

FORCE_KO = ch(
    "[{node}에 ][{dir} ][{mag}^?을 ][{case} ]{!add}|[{case} ][{node}에 ][{dir} ][{mag}^?을 ]{!add}"
    "|[{dir} ][{mag}^을 ][{node}에 ][{case} ]{!add}|[{node}에 ][{mag}^을 ][{dir} ][{case} ]{!add}"
    "|[{node}에 ][{dir} ]{mag}[ {case}]|[{node}, ][{dir}, ]{mag}|[{node} ][{dir} ]{mag}",
    val="[{mag}^?을 ][{node}에 ][{dir} ][{case} ]{!add}|[{dir} ][{node}에 ][{mag}^?을 ][{case} ]{!add}",
    test="[{mag}^?을 ]{!add}, [{case} ][{node}에 ][{dir}]"
    "|[{node}^은 ][{case} ][{dir} ][{mag}^?을 ]{!add}"
    "|[{node}에다가 ][{mag}^?을 ][{case} ][{dir} ]{!add}",
)
FORCE_EN = ch(
    "{!add} {mag}[ {dir}][ at {node}][ {case}]|{!add} {mag}[ at {node}][ {dir}][ {case}]"
    "|[At {node}, ]{!add} {mag}[ {dir}][ {case}]"
    "|{mag}[ {dir}][ on {node}][ {case}]",
    val="[{node}: ]{!add} {mag}[ {dir}][ {case}]",
    test="[{node} needs ]{mag}[ {dir}][ {case}]|[on {node}, ]{mag}[ {dir}][ {case}], please",
)


def load_case(s: Situation, share: float = 0.3) -> tuple[dict[str, str], dict[str, str]]:
    """The optional load case of a load: (slot, argument), both empty when it stays unsaid."""
    if "case" in s.fix:
        name = s.fix["case"]
        if not s.fix.get("say_case", True):
            return {}, {"load_case": name}
    elif s.speaker.chance(share + s.speaker.detail):
        name = s.speaker.at(s.model.cases)
    else:
        return {}, {}
    kinds = {"dead": "고정하중", "live": "활하중", "snow": "적설하중"}
    kind = s.model.spec.cases.get(name)
    if s.speaker.lang == "ko" and kind in kinds and s.speaker.chance(0.15):
        return {"case": f"{kinds[kind]} 조건에"}, {"load_case": name}
    return {"case": say.case(s.speaker, name)}, {"load_case": name}


def force_direction(s: Situation) -> tuple[str, int]:
    """An axis and a sign; horizontal forces are mostly positive, vertical ones mostly act downward."""
    axis = s.speaker.at(("X", "X", "Y", "Y", "Z", "Z"))
    if axis == "Z":
        return axis, -1 if s.speaker.chance(0.75) else 1
    return axis, -1 if s.speaker.chance(0.2) else 1


def each(s: Situation, text: str) -> str:
    """`10kN씩` when the same load goes on several things."""
    if s.many == 1:
        return text
    if s.speaker.lang == "en":
        return text if s.speaker.chance(0.6) else f"{text} each"
    bare = text[-1] in "mNf톤턴²㎡2"  # 씩 goes with the number, not with the noun after it
    return f"{text}씩" if bare and s.speaker.chance(0.85) else f"각각 {text}"


def nodal_load(s: Situation) -> Command:
    v = s.speaker
    nodes = s.fix.get("nodes") or s.some(s.model.free_nodes, s.many)
    slot, case = load_case(s)
    if s.many > 1 and v.chance(0.25) and "nodes" not in s.fix:
        return _two_directions(s, nodes[0], slot, case)
    axis, sign = force_direction(s)
    amount = s.amount("force")
    args = [
        {"node_id": n, "direction": axis, "value": sign * amount.value} | amount.unit_argument | case for n in nodes
    ]
    said = {"node": say.ids(v, "node", nodes, s.model.free_nodes)} | slot
    if v.lang == "ko" and (axis, sign) == ("Z", -1) and "axis_only" not in v.want and v.chance(0.25):
        said["mag"], rest = each(s, say.vertical(v, amount)), 1
    else:
        said["dir"], rest = say.direction(v, axis, sign)
        said["mag"] = each(s, say.magnitude(v, amount, rest, "load", s.amount("force") if s.many == 1 else None))
    needs = {"node": ("node", ""), "mag": ("load value", word(v, "load") if v.korean else "a load")}
    if "dir" in said:
        needs["dir"] = ("direction", "")
    calls = [("add_nodal_load", a) for a in args]
    return Command(
        calls, said, FORCE_KO, FORCE_EN, needs, {"node": nodes[-1], "axis": axis, "sign": sign, "rest": rest}
    )


def _two_directions(s: Situation, node: int, slot: dict[str, str], case: dict[str, str]) -> Command:
    v = s.speaker
    parts, calls = [], []
    for axis in v.at((("X", "Y"), ("X", "Z"), ("Y", "Z"))):
        sign = -1 if axis == "Z" or v.chance(0.2) else 1
        amount = s.amount("force")
        text, rest = say.direction(v, axis, sign)
        parts.append(
            f"{text.removesuffix('^으로')} {write(v, amount, rest)}" if v.korean else f"{write(v, amount, rest)} {text}"
        )
        calls.append(
            (
                "add_nodal_load",
                {"node_id": node, "direction": axis, "value": sign * amount.value} | amount.unit_argument | case,
            )
        )
    v.shown.append("two_directions")
    joint = v.at(("^이랑 ", ", ", "^과 ")) if v.korean else " and "
    return Command(
        calls,
        {"node": say.ids(v, "node", [node]), "mag": joint.join(parts)} | slot,
        FORCE_KO,
        FORCE_EN,
        {"node": ("node", "")},
    )


MOMENT_KO = ch(
    "[{node}에 ][{axis} ][{mag}^?을 ][{case} ]{!add}"
    "|[{case} ][{node}에 ][{axis} ][{mag}^?을 ]{!add}"
    "|[{axis} ][{mag}^을 ][{node}에 ][{case} ]{!add}"
    "|[{node}, ][{axis} ]{mag}|[{node} ][{axis} ]{mag}[ {case}]",
    val="[{mag}^?을 ][{axis}^으로 ][{node}에 ][{case} ]{!add}",
    test="[{node}^은 ][{axis} ][{case} ][{mag}^?을 ]{!add}|[{axis} ][{mag}^?을 ]{!add}, [{case} ][{node}에]",
)
MOMENT_EN = ch(
    "{!add} {mag}[ about {axis}][ at {node}][ {case}]"
    "|[At {node}, ]{!add} {mag}[ about {axis}][ {case}]|{mag}[ about {axis}][ at {node}][ {case}]",
    val="[On {node}, ]{!add} {mag}[ acting about {axis}][ {case}]",
    test="[{node}: ]{mag}[ around {axis}][ {case}]",
)
_OF = ch("a {m} {w}|a {w} of {m}")
_MOMENT = ch("{w} {m}|{w} {m}|{m} {w}|{m}의 {w}", test="{m}짜리 {w}|크기 {m}의 {w}")


def nodal_moment(s: Situation) -> Command:
    v = s.speaker
    nodes = s.some(s.model.free_nodes, s.many)
    slot, case = load_case(s)
    axis, sign = v.at(("X", "Y", "Z")), -1 if v.chance(0.2) else 1
    amount = s.amount("moment")
    args = {"axis": axis, "value": sign * amount.value} | amount.unit_argument | case
    text, noun = write(v, amount, sign), word(v, "moment")
    mag = each(s, v.either(_MOMENT, _OF).format(w=noun, m=text))
    about = v.either(
        ch("{d}축|{d}축|{d}방향|{d}축 방향", val="{d}축 회전", test="{d}축에 대한|{d}축 둘레"),
        ch("{d}|the {d} axis|{d}-axis", test="global {d}"),
    )
    said = {"node": say.ids(v, "node", nodes, s.model.free_nodes), "axis": about.format(d=axis), "mag": mag} | slot
    needs = {"node": ("node", ""), "axis": ("axis", ""), "mag": ("moment value", noun if v.korean else "a moment")}
    return Command([("add_nodal_moment", {"node_id": n} | args) for n in nodes], said, MOMENT_KO, MOMENT_EN, needs)


BEAM_KO = ch(
    "[{member}에 ][{span} ][{dir} ][{mag}^?을 ][{case} ]{!add}"
    "|[{case} ][{member}에 ][{span} ][{dir} ][{mag}^?을 ]{!add}"
    "|[{mag}^을 ][{member}에 ][{span} ][{dir} ][{case} ]{!add}"
    "|[{member} ][{span} ][{dir} ]{mag}[ {case}]|[{member}에 ][{span} ][{mag}^을 ][{dir} ]{!add}"
    "|[{member}, ][{dir}, ]{mag}",
    val="[{member} 위에 ][{dir} ][{mag}^?을 ][{case} ][{span} ]{!add}"
    "|[{dir} ][{mag}^?을 ][{member}에 ][{span} ][{case} ]{!add}",
    test="[{mag}^?을 ]{!add}, [{member}에 ][{span} ][{dir} ][{case}]"
    "|[{member}^은 ][{span} ][{case} ][{dir} ][{mag}^?을 ]{!add}"
    "|[{member}에다가 ][{dir} ][{mag}^?을 ][{case} ][{span} ]{!add}",
)
BEAM_EN = ch(
    "{!add} {mag}[ on {member}][ {span}][ {dir}][ {case}]"
    "|[On {member}, ]{!add} {mag}[ {span}][ {dir}][ {case}]"
    "|{mag}[ {dir}][ on {member}][ {span}][ {case}]",
    val="[{member}: ]{!add} {mag}[ {span}][ {dir}][ {case}]",
    test="[{member} carries ]{mag}[ {span}][ {dir}][ {case}]|[along {member}, ]{!add} {mag}[ {span}][ {dir}][ {case}]",
)
_LINE = ch("{w} {m}|{w} {m}|{m} {w}|{m}의 {w}|{m}짜리 {w}", val="{m}^으로 {w}", test="크기 {m}의 {w}|{w}^을 {m}만큼")


def member_noun(s: Situation, numbers: list[int]) -> str:
    """The lexicon's name for these members: beams may be called so."""
    if all(n in s.model.beams for n in numbers) and s.speaker.chance(0.4):
        return "beam"
    if all(n in s.model.columns for n in numbers) and s.speaker.chance(0.4):
        return "column"
    return "member"


def beam_direction(s: Situation) -> tuple[str, str, int, int]:
    """(slot, direction argument, sign, sign that the number still has to carry); mostly unsaid, which means gravity."""
    v = s.speaker
    place = v.rng.random()
    if place < 0.55:
        return "", "Z", -1, 1
    if place < 0.9:
        sign = -1 if v.chance(0.85) else 1
        text, rest = say.direction(v, "Z", sign)
        return text, "Z", sign, rest
    axis = v.at(("x", "y", "z"))
    v.shown.append("local_axis")
    text = v.either(
        ch("부재좌표계 {d}방향으로|로컬 {d}방향으로|local {d} 방향으로", test="부재 {d}축 방향으로"),
        ch("in local {d}|along the local {d} axis"),
    )
    return text.format(d=axis), f"local_{axis}", 1, 1


def distributed_load(s: Situation) -> Command:
    v = s.speaker
    members = s.fix.get("members") or s.some(s.model.beams, s.many)
    slot, case = load_case(s)
    text, axis, sign, rest = beam_direction(s)
    amount = s.amount("line")
    spoken, noun, value = write(v, amount, rest), word(v, "line"), sign * amount.value
    args = {"direction": axis, "value": value} | amount.unit_argument | case
    said = (
        {"member": say.ids(v, member_noun(s, members), members, s.model.beams)} | slot | ({"dir": text} if text else {})
    )
    place = v.rng.random()
    if s.many == 1 and place < 0.12 and rest > 0 and "correction" not in v.want:
        other = s.amount("line")
        if other.unit == amount.unit and other.value != amount.value:
            args["end_value"] = other.value if value > 0 else -other.value
            v.shown.append("trapezoid")
            tail = write(v, other)
            korean = ch(
                "{a}에서 {b}^으로 변하는 분포하중|시작 {a}, 끝 {b} 사다리꼴 하중",
                test="{a}에서 {b}까지 선형으로 변하는 하중",
            )
            said["mag"] = v.either(korean, "a load varying from {a} to {b}").format(a=spoken, b=tail)
            calls = [("add_member_distributed_load", {"member_id": m} | args) for m in members]
            return Command(calls, said, BEAM_KO, BEAM_EN)
    if s.many == 1 and 0.12 < place < 0.22:
        part = v.at(tuple(sorted(_PARTS)))
        said["span"] = v.either(*_PARTS[part][:2])
        args |= _PARTS[part][2]
        v.shown.append("part_span")
    said["mag"] = each(s, v.either(_LINE, _OF).format(w=noun, m=spoken))
    needs = {"member": ("member", ""), "mag": ("line load value", noun if v.korean else f"a {noun}")}
    calls = [("add_member_distributed_load", {"member_id": m} | args) for m in members]
    return Command(calls, said, BEAM_KO, BEAM_EN, needs, {"member": members[-1]})


_PARTS = {
    "first": (
        ch("앞쪽 절반 구간에만|시작단 쪽 절반에만", test="i단 쪽 반쪽에만"),
        ch("over the first half only"),
        {"end": 0.5},
    ),
    "last": (
        ch("뒤쪽 절반 구간에만|끝단 쪽 절반에만", test="j단 쪽 반쪽에만"),
        ch("over the second half only"),
        {"start": 0.5},
    ),
    "middle": (
        ch("가운데 절반 구간에만|중앙부 절반에만", test="0.25부터 0.75 구간에만"),
        ch("over the middle half"),
        {"start": 0.25, "end": 0.75},
    ),
    "given": (ch("0.2~0.8 구간에만|0.2에서 0.8 구간에"), ch("from 0.2 to 0.8 of the span"), {"start": 0.2, "end": 0.8}),
}


POINT_KO = ch(
    "[{member} ][{pos}에 ][{dir} ][{mag}^?을 ][{case} ]{!add}"
    "|[{member}의 ][{pos}에 ][{mag}^?을 ][{dir} ][{case} ]{!add}"
    "|[{case} ][{member} ][{pos}에 ][{dir} ][{mag}^?을 ]{!add}"
    "|[{mag}^을 ][{member} ][{pos}에 ][{dir} ][{case} ]{!add}|[{member} ][{pos} ][{dir} ]{mag}",
    val="[{dir} ][{mag}^?을 ][{member} ][{pos}에 ][{case} ]{!add}",
    test="[{mag}^?을 ]{!add}, [{member} ][{pos}에 ][{dir} ][{case}]"
    "|[{member}에서 ][{pos}에다가 ][{dir} ][{mag}^?을 ][{case} ]{!add}",
)
POINT_EN = ch(
    "{!add} {mag}[ {dir}][ on {member}][ {pos}][ {case}]"
    "|[On {member}, ]{!add} {mag}[ {pos}][ {dir}][ {case}]"
    "|{mag}[ {dir}][ on {member}][ {pos}][ {case}]",
    val="[{pos} ][of {member}, ]{!add} {mag}[ {dir}][ {case}]",
    test="[{member}: ]{mag}[ {pos}][ {dir}][ {case}]",
)
_MIDDLE = (
    ch("중앙|가운데|정중앙|중앙부", val="한가운데", test="중간 지점|스팬 중앙"),
    ch("at midspan|at the middle|at the center", test="halfway along"),
)
_FROM_I = (
    ch(
        "i단에서 {d} 위치|시작단에서 {d} 지점|i단에서 {d} 떨어진 곳",
        val="시작점에서 {d} 위치",
        test="왼쪽 단에서 {d} 지점|i단부터 {d} 떨어진 위치",
    ),
    ch("{d} from the i-end|{d} from end i", test="at a distance of {d} from the start"),
)
_SHARE = (ch("{r} 지점|{r} 위치|길이의 {r} 지점", test="{r} 되는 곳"), ch("at {r} of the span|at {r} of its length"))


def position(s: Situation, member: int) -> tuple[str, dict[str, object]]:
    """Where on a member: (slot, arguments). Ratios and metres from the i-end."""
    v = s.speaker
    place = v.rng.random() if "unit_conversion" not in v.want else 0.7
    if place < 0.4:
        return v.either(*_MIDDLE), {"position": 0.5}
    if place < 0.8:
        steps = [d // 2 if d % 2 == 0 else d / 2 for d in range(1, int(s.model.length(member) * 2))]
        distance = v.at(steps)
        text = v.either(*_FROM_I).format(d=metres(v, distance))
        return text, {"position": distance, "position_type": "distance"}
    share = v.at((0.2, 0.25, 0.3, 0.4, 0.6, 0.7, 0.75))
    text = say.ratio(v, share) if v.korean else f"{plain(round(share * 100, 6))}%"
    return v.either(*_SHARE).format(r=text), {"position": share}


def point_load(s: Situation) -> Command:
    v = s.speaker
    members = s.some(s.model.beams, s.many)
    slot, case = load_case(s, 0.25)
    text, axis, sign, rest = beam_direction(s)
    amount = s.amount("force")
    where, place = position(s, members[0])
    if s.many > 1:
        where, place = v.either(*_MIDDLE), {"position": 0.5}
    args = {"direction": axis, "value": sign * amount.value} | place | amount.unit_argument | case
    noun = word(v, "point")
    spoken = write(v, amount, rest)
    korean = ch("{w} {m}|{w} {m}|{m} {w}|{m}짜리 {w}", val="{w}^으로 {m}", test="크기 {m}의 {w}|{m} 크기 {w}")
    mag = each(s, v.either(korean, _OF).format(w=noun, m=spoken))
    said = {"member": say.ids(v, member_noun(s, members), members, s.model.beams), "pos": where, "mag": mag} | slot
    if text:
        said["dir"] = text
    needs = {
        "member": ("member", ""),
        "pos": ("position", ""),
        "mag": ("load value", noun if v.korean else f"a {noun}"),
    }
    calls = [("add_member_point_load", {"member_id": m} | args) for m in members]
    return Command(calls, said, POINT_KO, POINT_EN, needs)
