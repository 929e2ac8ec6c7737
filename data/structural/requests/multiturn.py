"""Follow-ups: what the user says after a first request, which is only understood with it."""

from dataclasses import replace
from typing import Any

from data.record import tool_call
from data.structural.language.quantities import write
from data.structural.language.replies import ask
from data.structural.language.sentence import finish, sentence
from data.structural.language.speaker import ch
from data.structural.requests import phrases as say
from data.structural.requests.intents import INTENTS, by_weight
from data.structural.requests.nocall import without
from data.structural.requests.request import Call, Command, Request, Situation
from data.structural.requests.toolsets import ordered

Turns = list[dict[str, Any]]
FollowUp = tuple[Turns, str, list[Call]]
"""The turns before, what the user says then, and the calls that it means."""


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def called(calls: list[Call]) -> dict[str, Any]:
    return {"role": "assistant", "tool_calls": [tool_call(name, ordered(name, args)) for name, args in calls]}


def done(calls: list[Call]) -> Turns:
    """The tool turns after calls that all went well."""
    return [{"role": "tool", "name": name, "content": '{"ok": true}'} for name, _ in calls]


def turn(command: Command, text: str) -> Turns:
    """A request that was carried out."""
    return [user(text), called(command.calls), *done(command.calls)]


def _ask_back(s: Situation) -> FollowUp:
    """The first request lacks a value, the assistant asks, the user gives it."""
    v = s.speaker
    weights = {name: weight for name, (_, weight) in INTENTS.items() if weight}
    while True:
        command = INTENTS[by_weight(v.rng.random(), weights)][0](s)
        slots = [n for n in sorted(command.needs) if n in command.slots and n not in ("what",)]
        if not slots:
            continue
        slot = v.at(slots)
        try:
            first = without(s, command, slot).sentence(v)
        except LookupError:
            continue
        if len(first) < 8:
            continue
        question = {"role": "assistant", "content": ask(v, command.needs[slot][0])}
        answer = command.slots[slot].removesuffix("^으로")
        korean = ch("{s}|{s}|{s}^이요|{s}^이야", val="아, {s}", test="아 맞다, {s}|{s}^이에요")
        frame = v.either(korean, ch("{s}|{s}, please"))
        if answer.endswith(("로", "만큼", "에")):
            frame = "{s}"
        return [user(first), question], finish(v, frame.format(s=answer)), command.calls


def _same_node(s: Situation) -> FollowUp:
    """거기에 Y방향 20kN도: another load on the node of the last one."""
    v = s.speaker
    first = INTENTS["add_nodal_load"][0](s)
    node, before = first.topic["node"], first.topic
    history = turn(first, first.sentence(v))
    axis = v.at([a for a in "XYZ" if a != before["axis"]])
    sign = -1 if axis == "Z" else 1
    amount = s.amount("force")
    text, rest = say.direction(v, axis, sign)
    said = {"dir": text, "mag": write(v, amount, rest)}
    korean = ch(
        "거기에 {dir} {mag}도 {!add}|같은 절점에 {dir} {mag}도 {!add}|거기 {dir} {mag}도"
        "|그 절점에 {dir} {mag}^을 더 {!add}",
        val="같은 자리에 {dir} {mag} 더 {!add}",
        test="동일 절점에 {dir} {mag}도 {!add}|그 점에 {dir} {mag}까지 {!add}",
    )
    english = ch(
        "also {mag} {dir} there|{!add} {mag} {dir} at the same node|and {mag} {dir} at that node",
        test="same spot, {mag} {dir}",
    )
    args = {"node_id": node, "direction": axis, "value": sign * amount.value} | amount.unit_argument
    return history, sentence(v, korean, english, said), [("add_nodal_load", args)]


def _same_load(s: Situation) -> FollowUp:
    """9번에도 똑같이: the same call for another id."""
    v = s.speaker
    tool = v.at(("add_nodal_load", "add_member_distributed_load", "get_displacement", "get_member_force"))
    first = INTENTS[tool][0](s)
    key = "node_id" if "node_id" in first.calls[0][1] else "member_id"
    pool = s.model.free_nodes if key == "node_id" else s.model.beams
    noun = "node" if key == "node_id" else "member"
    other = v.at([n for n in pool if n != first.calls[0][1][key]])
    said = {"it": say.ids(v, noun, [other])}
    query = tool.startswith("get")
    english = ch(
        "same for {it}|do the same for {it}|and {it}?"
        if query
        else "same for {it}|do the same on {it}|the same load on {it} too",
        test="repeat that for {it}",
    )
    if query:
        korean = ch(
            "{it}^은?|{it}도 {!query}|{it}도 똑같이 {!query}|그럼 {it}^은?",
            val="{it}도 마찬가지로 {!query}",
            test="{it} 것도 {!query}|{it} 값은 어때?",
        )
    else:
        korean = ch(
            "{it}에도 똑같이 {!add}|{it}에도 같은 하중 {!add}|{it}도 똑같이|{it}에도 동일하게 {!add}",
            val="{it}도 마찬가지로 {!add}",
            test="{it}에도 그대로 하나 더 {!add}|{it} 쪽도 같은 걸로 {!add}",
        )
    calls = [(name, args | {key: other}) for name, args in first.calls[:1]]
    return turn(first, first.sentence(v)), sentence(v, korean, english, said), calls


def _undo(s: Situation) -> FollowUp:
    """Take back the last operation, or the last few of a parallel request."""
    v = s.speaker
    weights = {n: w for n, (_, w) in INTENTS.items() if n.startswith(("add_", "set_", "assign", "move"))}
    several = v.chance(0.35) and not {"unit", "number_form"} & set(v.want)
    if several:
        v.want = (*v.want, "plain_unit")
    tool = v.at(("add_nodal_load", "add_member_distributed_load")) if several else by_weight(v.rng.random(), weights)
    first = INTENTS[tool][0](replace(s, many=v.at((2, 3)) if several else 1))
    history = turn(first, first.sentence(v))
    steps = len(first.calls)
    command = INTENTS["undo"][0](replace(s, many=1, fix={"steps": steps}))
    return history, command.sentence(v), command.calls


def _redo(s: Situation) -> FollowUp:
    """방금 건 취소하고 15kN으로 다시: undo, then the same load with another value."""
    v = s.speaker
    first = INTENTS["add_nodal_load"][0](s)
    args = first.calls[0][1]
    amount = s.amount("force")
    while amount.value == abs(args["value"]) or "unit" in args or amount.unit != "kN":
        amount = s.amount("force")
        if "unit" in args:
            first = INTENTS["add_nodal_load"][0](s)
            args = first.calls[0][1]
    said = {"mag": write(v, amount, first.topic["rest"])}
    korean = ch(
        "방금 건 취소하고 {mag}^으로 다시 {!add}|그거 되돌리고 {mag}^으로 다시 {!add}|되돌리고 {mag}^으로 {!add}",
        val="그건 취소, {mag}^으로 새로 {!add}",
        test="그거 무르고 {mag}^으로 새로 {!add}|방금 거 지우고 {mag}^으로 다시 {!add}",
    )
    english = ch(
        "undo that and {!add} {mag} instead|undo it, then {!add} {mag} instead",
        test="take that back and {!add} {mag} in its place",
    )
    again = args | {"value": amount.value if args["value"] > 0 else -amount.value}
    v.shown.append("undo_and_redo")
    return (
        turn(first, first.sentence(v)),
        sentence(v, korean, english, said),
        [("undo", {}), ("add_nodal_load", again)],
    )


def _other_load(s: Situation) -> FollowUp:
    """그럼 EX에서는?: the same question for another load."""
    v = s.speaker
    tool = v.at(("get_displacement", "get_reaction", "get_member_force", "get_story_drift", "show_diagram"))
    fix = {"diagram": v.at(("moment", "shear", "axial", "deformed"))} if tool == "show_diagram" else {}
    first = INTENTS[tool][0](replace(s, fix=fix))
    name, args = first.calls[0]
    load = v.at([n for n in [*s.model.spec.combos, *s.model.cases] if n != args.get("load_name")])
    korean = ch(
        "그럼 {c}에서는?|{c}에서는?|{c} 기준으로도 {!query}|{c}^으로도 {!query}|{c}일 때는?",
        val="{c}^은 어때?",
        test="{c} 쪽은 어떻게 나와?|이번엔 {c}^으로 {!query}",
    )
    english = ch("and under {c}?|what about {c}?|same for {c}", test="now with {c}, please")
    text = sentence(v, korean, english, {"c": load})
    return turn(first, first.sentence(v)), text, [(name, args | {"load_name": load})]


def _other_axis(s: Situation) -> FollowUp:
    """Y방향은?: the same question for the other axis."""
    v = s.speaker
    tool = v.at(("get_story_drift", "check_story_drift", "get_story_drift"))
    first = INTENTS[tool][0](s)
    name, args = first.calls[0]
    axis = "Y" if args["direction"] == "X" else "X"
    korean = ch(
        "{d}방향은?|그럼 {d}방향도 {!query}|{d}방향도|{d}방향도 똑같이 {!query}",
        val="{d}축 방향은 어때?",
        test="{d}방향 것도 {!query}|반대쪽 {d}방향은 어떻게 나와?",
    )
    english = ch("and in {d}?|what about {d}?|same in {d}", test="now the {d} direction")
    return (
        turn(first, first.sentence(v)),
        sentence(v, korean, english, {"d": axis}),
        [(name, args | {"direction": axis})],
    )


def _next_job(s: Situation) -> FollowUp:
    """An unrelated second request after a first one: the history must not leak into the call."""
    v = s.speaker
    first_tools = "add_nodal_load|set_support|run_static_analysis|assign_section|add_self_weight|create_load_case"
    first_tool = v.at(first_tools.split("|"))
    first = INTENTS[first_tool][0](s)
    weights = {n: w for n, (_, w) in INTENTS.items() if w and n != first_tool}
    command = INTENTS[by_weight(v.rng.random(), weights)][0](s)
    return turn(first, first.sentence(v)), command.sentence(v), command.calls


FOLLOW_UPS = {
    "ask_back": (_ask_back, 4.0),
    "same_node": (_same_node, 1.5),
    "same_load": (_same_load, 2.0),
    "undo": (_undo, 3.0),
    "redo": (_redo, 1.2),
    "other_load": (_other_load, 1.5),
    "other_axis": (_other_axis, 1.0),
    "next_job": (_next_job, 1.5),
}


def multi_turn(s: Situation) -> Request:
    """A request that follows an earlier one."""
    kind = by_weight(s.speaker.rng.random(), {k: w for k, (_, w) in FOLLOW_UPS.items()})
    history, text, calls = FOLLOW_UPS[kind][0](s)
    return Request(text, calls, f"multi_turn:{kind}", history)
