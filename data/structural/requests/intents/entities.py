"""Nodes and members: add, move, delete, undo."""

from dataclasses import replace

from data.structural.engine.model import running_sums
from data.structural.language.lexicon import word
from data.structural.language.numerals import native, plain
from data.structural.language.quantities import metres
from data.structural.language.speaker import ch
from data.structural.requests import phrases as say
from data.structural.requests.intents.loads import member_noun
from data.structural.requests.request import Command, Situation

NODE_KO = ch(
    "[{id}^을 ]{at}에 {!put}|{at}에 [{id}^을 ]{!put}|{at} 위치에 [{id} ]{!put}|[{id} ]{!put}, {at}",
    val="좌표 {at}에 [{id} ]{!put}",
    test="{at} 지점에 [{id} 하나 ]{!put}|[{id} ]좌표는 {at}, {!put}",
)
NODE_EN = ch(
    "{!put} [{id} ]at {at}|{!put} [{id} ]with coordinates {at}|At {at}, {!put} [{id}]",
    val="[{id} ]goes at {at}, {!put} it",
    test="{!put} [{id} ]located at {at}",
)


def add_node(s: Situation) -> Command:
    v, m = s.speaker, s.model
    xs = [x + b / 2 for x, b in zip(running_sums(m.spec.bays_x), m.spec.bays_x, strict=False)]
    ys = [
        *running_sums(m.spec.bays_y),
        *[y + b / 2 for y, b in zip(running_sums(m.spec.bays_y), m.spec.bays_y, strict=False)],
    ]
    point = [v.at(xs), v.at(ys), v.at(running_sums(m.spec.heights)[1:])]
    point = [round(p * 2) / 2 if v.chance(0.5) else round(p, 2) for p in point]
    point[0] += 0.1 if round(point[0], 3) in [round(x, 3) for x in running_sums(m.spec.bays_x)] else 0
    point = [int(p) if float(p).is_integer() else round(p, 3) for p in point]
    args = dict(zip("xyz", point, strict=True))
    scale, unit = (1000, "mm") if v.show("unit_conversion") else (1, "m")
    numbers = [plain(round(p * scale, 3)) for p in point]
    shape = v.either(
        ch(
            "({0}, {1}, {2}){u}|({0}, {1}, {2}){u}|X={0}, Y={1}, Z={2}{u}|x {0}, y {1}, z {2}{u}",
            test="[{0}, {1}, {2}]{u}|X {0}{u} Y {1}{u} Z {2}{u}",
        ),
        ch("({0}, {1}, {2}){u}|({0}, {1}, {2}){u}|x={0}, y={1}, z={2}{u}", test="x {0}, y {1}, z {2}{u}"),
    )
    spoken = (" " if v.lang == "en" else "") + unit
    if unit == "m" and "{u} Y" not in shape and v.chance(0.5):
        spoken = ""
    text = shape.format(*numbers, u=spoken)
    said = {"at": text}
    if "node_id" in s.fix or v.chance(0.4):
        number = s.fix.get("node_id", m.nodes[-1] + v.at((1, 2, 3, 4)))
        args = {"node_id": number} | args
        said["id"] = say.ids(v, "node", [number])
    else:
        noun = word(v, "node")
        said["id"] = v.at((noun, f"새 {noun}")) if v.korean else v.at((f"a {noun}", f"a new {noun}"))
    return Command([("add_node", args)], said, NODE_KO, NODE_EN, {"at": ("coordinates", "")})


MEMBER_KO = ch(
    "[{pair} 사이에 ][{section} ]{kind}^을 {!join}|[{pair}^을 잇는 ][{section} ]{kind}^을 {!join}"
    "|[{section}^으로 ][{pair} 사이에 ]{kind} {!join}"
    "|[{pair} ][{section} ]{kind} {!join}",
    val="[{pair}^을 연결하는 ]{kind} {!join}[, 단면은 {section}]",
    test="{kind} 하나 {!join}[, {pair} 사이에][ {section}^으로]|[{section} ]{kind}^을 [{pair}에 걸쳐 ]{!join}",
)
MEMBER_EN = ch(
    "{!join} a {kind}[ between {pair}][ with {section}]"
    "|{!join} a[ {section}] {kind}[ between {pair}]"
    "|[Between {pair}, ]{!join} a[ {section}] {kind}",
    val="[From {pair}, ]{!join} a {kind}[ made of {section}]",
    test="{!join} a {kind}[ connecting {pair}][ using {section}]",
)
_KINDS = {"beam": ("보", "beam"), "column": ("기둥", "column"), "brace": ("가새", "brace"), "": ("부재", "member")}


def add_member(s: Situation) -> Command:
    v, m = s.speaker, s.model
    level = m.per_level
    storey = int(v.rng.random() * len(m.spec.heights))
    lower = m.nodes[storey * level : (storey + 1) * level]
    kind = v.at(("brace", "brace", "", "beam"))
    nx = len(m.spec.bays_x) + 1
    k = int(v.rng.random() * (len(lower) - 1))
    if kind == "beam":  # across a bay: nodes that no beam joins yet
        floor = m.nodes[(storey + 1) * level : (storey + 2) * level]
        start, end = floor[0], floor[nx + 1]
    else:
        start, end = (
            lower[k],
            lower[k] + level + (1 if (k + 1) % nx else nx - 1 if k + nx - 1 < level and nx > 2 else 1),
        )
        if end > m.nodes[-1] or end == start + level:
            start, end = lower[0], lower[0] + level + 1
    if "end_node" in s.fix:
        end = s.fix["end_node"]
    section = v.at(m.spec.sections)
    args = {"start_node": start, "end_node": end, "section": section}
    if kind:
        args["member_type"] = kind
    name = _KINDS[kind][0 if v.lang == "ko" else 1] if v.lang != "mixed" or v.chance(0.7) else _KINDS[kind][0]
    noun = word(v, "node")
    pair = v.either(
        ch(
            "{w} {a}번과 {b}번|{a}번과 {b}번 {w}|{a}번 {w}^과 {b}번 {w}|{w} {a}, {b}",
            val="{w} {a}-{b}",
            test="{w} {a}번하고 {b}번|{a}번 {w}에서 {b}번 {w}",
        ),
        ch("{w}s {a} and {b}|{w} {a} and {w} {b}"),
    ).format(w=noun, a=start, b=end)
    said = {"pair": pair, "section": section, "kind": name}
    calls = [("add_member", args)]
    return Command(calls, said, MEMBER_KO, MEMBER_EN, {"pair": ("end nodes", ""), "section": ("section", "")})


MOVE_KO = ch(
    "[{node}^을 ][{off} ]{!move}|[{off} ][{node} ]{!move}|[{node} ][{off} ]{!move}|[{node} 위치를 ][{off} ]{!move}",
    val="[{node}만 ][{off} ]{!move}",
    test="[{node} 좌표를 ][{off} ]{!move}|{!move}, [{node}^을 ][{off}]",
)
MOVE_EN = ch(
    "{!move} {node}[ {off}]|{!move} {node} by[ {off}]|[{off}, ]{!move} {node}",
    val="{!move} {node} over[ {off}]",
    test="{node} should {!move}[ {off}]",
)
_STEPS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 0.8, 1, 1.2)


def move_node(s: Situation) -> Command:
    v = s.speaker
    node = s.fix.get("node") or v.at(s.model.free_nodes)
    axis, sign = v.at(("x", "x", "y", "y", "z", "z")), -1 if v.chance(0.35) else 1
    step = v.at(_STEPS)
    text, rest = say.direction(v, axis.upper(), sign)
    length = ("-" if rest < 0 else "") + metres(v, step)
    if v.korean:
        off = f"{text.removesuffix('^으로') + ('' if text.endswith('로') else '^으로')} {length}"
        off += v.at(("", "", "만큼"))
    else:
        off = f"{length} {text}"
    said = {"node": say.ids(v, "node", [node], s.model.free_nodes), "off": off}
    needs = {"node": ("node", ""), "off": ("move distance", "")}
    calls = [("move_node", {"node_id": node, "d" + axis: sign * step})]
    return Command(calls, said, MOVE_KO, MOVE_EN, needs, {"node": node})


DELETE_KO = ch(
    "{what} {!delete}|{what}^을 {!delete}|{what}^은 {!delete}|필요 없는 {what} {!delete}",
    val="{what}^이 필요 없으니 {!delete}",
    test="{what}^은 빼고 가자, {!delete}|{!delete}, {what}|모델에서 {what}^을 {!delete}",
)
DELETE_EN = ch(
    "{!delete} {what}|Please {!delete} {what}",
    val="We can {!delete} {what} now",
    test="{what} is no longer needed, {!delete} it|let's {!delete} {what}",
)


def delete_entities(s: Situation) -> Command:
    v, m = s.speaker, s.model
    kind = s.fix.get("entity") or v.at(("node", "member", "member", "load_case", "load_combination"))
    count = v.at((1, 1, 2, 3)) if s.many == 1 else s.many
    args: dict[str, object] = {"entity_type": kind}
    if kind == "node":
        ids = [v.at(m.free_nodes[-m.per_level :])]
        args["ids"], what = ids, say.ids(v, "node", ids, m.free_nodes)
    elif kind == "member":
        ids = s.some(m.beams, count)
        args["ids"], what = ids, say.ids(v, member_noun(s, ids), ids, m.beams)
    else:
        used = [c for factors in m.spec.combos.values() for c in factors]
        pool = (
            list(m.spec.combos)
            if kind == "load_combination"
            else [c for c in m.cases if c != m.spec.current and c not in used]
        )
        if not pool:
            return delete_entities(replace(s, fix=s.fix | {"entity": "load_combination"}, about=[]))
        name = v.at(pool)
        args["names"] = [name]
        noun = word(v, "combo" if kind == "load_combination" else "case")
        what = v.at((f"{name} {noun}", f"{noun} {name}")) if v.korean else f"{noun} {name}"
    return Command([("delete_entities", args)], {"what": what}, DELETE_KO, DELETE_EN)


UNDO_KO = ch(
    "{what} {!undo}|{what}^을 {!undo}|{what}^은 {!undo}|{what} 다시 {!undo}",
    val="{what} 그냥 {!undo}",
    test="{what} 없던 걸로 하고 {!undo}|{!undo}, {what}",
)
UNDO_EN = ch("{!undo} {what}|Please {!undo} {what}", val="let us {!undo} {what}", test="that was wrong, {!undo} {what}")


def undo(s: Situation) -> Command:
    """Undo the last operations; `steps` in `fix` is how many there are to take back."""
    v = s.speaker
    steps = s.fix.get("steps", 1)
    args = {"steps": steps} if steps > 1 else {}
    if not v.korean:
        what = v.at(("that", "the last step", "the last operation")) if steps == 1 else f"the last {steps} steps"
    elif steps == 1:
        what = v.pick(ch("방금 건|방금 작업|마지막 작업|방금 한 거", val="직전 작업", test="바로 전 작업|지금 거"))
    else:
        number = v.at((str(steps), native(steps)))
        plans = ch("최근 작업 {n} 개|방금 {n} 단계|최근 {n} 번", test="마지막 {n} 개 작업|앞의 작업 {n} 개")
        what = v.pick(plans).format(n=number)
    return Command([("undo", args)], {"what": what}, UNDO_KO, UNDO_EN)
