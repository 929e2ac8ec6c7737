"""Loads of a whole floor or the whole frame: area loads and self-weight."""

from typing import Any

from data.structural.language.lexicon import word
from data.structural.language.quantities import write
from data.structural.language.speaker import ch
from data.structural.requests import phrases as say
from data.structural.requests.intents.loads import each, load_case
from data.structural.requests.request import Command, Situation

FLOOR_KO = ch(
    "[{story}에 ][{way} ][{mag}^?을 ][{case} ]{!add}"
    "|[{case} ][{story}에 ][{way} ][{mag}^?을 ]{!add}"
    "|[{mag}^을 ][{story}에 ][{way} ][{case} ]{!add}"
    "|[{story} ][{way} ]{mag}[ {case}]",
    val="[{story} 전체에 ][{mag}^?을 ][{way} ][{case} ]{!add}",
    test="[{story}^은 ][{way} ][{case} ][{mag}^?을 ]{!add}|[{mag}^?을 ]{!add}, [{way} ][{story}에 ][{case}]",
)
FLOOR_EN = ch(
    "{!add} {mag}[ on {story}][ {way}][ {case}]|[On {story}, ]{!add} {mag}[ {way}][ {case}]"
    "|{mag}[ on {story}][ {way}][ {case}]",
    val="[Over {story}, ]{!add} {mag}[ {way}][ {case}]",
    test="[{story} gets ]{mag}[ {way}][ {case}]",
)
_WAYS = {
    "one_way_x": ("X방향 일방향으로", "one-way in X"),
    "one_way_y": ("Y방향 일방향으로", "one-way in Y"),
    "two_way": ("이방향으로", "two-way"),
}


def floor_load(s: Situation) -> Command:
    v = s.speaker
    stories = list(s.model.stories)
    stories = stories[: s.many] if s.many > 1 else [v.at(stories)]
    slot, case = load_case(s, 0.35)
    amount = s.amount("area")
    args = {"value": amount.value} | amount.unit_argument | case
    said = dict(slot)
    names = [say.story(v, name) for name in stories]
    said["story"] = ("^과 " if v.korean else " and ").join(names)
    noun, text = word(v, "floorload"), write(v, amount)
    pattern = v.either(ch("{w} {m}|{m} {w}|{m}|{w} {m}", test="{m}의 {w}"), ch("a {m} {w}|a {w} of {m}"))
    said["mag"] = each(s, pattern.format(w=noun, m=text))
    if s.many == 1 and v.chance(0.2):
        way = v.at(tuple(sorted(_WAYS)))
        said["way"] = _WAYS[way][0 if v.korean else 1]
        args["distribution"] = way
    needs = {"story": ("story", ""), "mag": ("floor load value", noun if v.korean else f"a {noun}")}
    return Command([("add_floor_load", {"story": n} | args) for n in stories], said, FLOOR_KO, FLOOR_EN, needs)


WEIGHT_KO = ch(
    "<selfweight>^?을 [{case} ][{factor} ]{!include}|[{case} ]<selfweight>[ {factor}] {!include}"
    "|[{factor} ]<selfweight>^을 [{case} ]{!include}",
    val="[{case} ]<selfweight>도 [{factor} ]{!include}",
    test="<selfweight>^은 [{case} ][{factor} ]{!include}|{!include}, <selfweight>[ {case}][ {factor}]",
)
WEIGHT_EN = ch(
    "{!include} <selfweight>[ {case}][ {factor}]|{!include} the <selfweight>[ {factor}][ {case}]",
    val="do not forget to {!include} <selfweight>[ {case}][ {factor}]",
    test="<selfweight> should be included[ {case}][ {factor}]",
)


def self_weight(s: Situation) -> Command:
    v = s.speaker
    slot, case = load_case(s, 0.75)
    args: dict[str, Any] = {**case}
    said = dict(slot)
    if v.chance(0.35):
        factor = args["factor"] = v.at((1.0, 1.05, 1.1, 1.15, 1.2))
        korean = ch("계수 {f}^으로|계수 {f}|{f}배로", val="팩터 {f}^으로", test="{f} 계수로")
        said["factor"] = v.either(korean, "with factor {f}").format(f=factor)
    return Command([("add_self_weight", args)], said, WEIGHT_KO, WEIGHT_EN)
