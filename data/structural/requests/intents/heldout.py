"""Tools that no training row may mention: copies, springs, settlements, temperature and buckling."""

from data.structural.language.numerals import plain
from data.structural.language.speaker import ch
from data.structural.requests import phrases as say
from data.structural.requests.intents.loads import load_case, member_noun
from data.structural.requests.request import Command, Situation


def copy_members(s: Situation) -> Command:
    v = s.speaker
    members = s.some(s.model.beams, v.at((1, 1, 2, 3)))
    axis, step, count = v.at(("x", "y")), v.at((2, 2.5, 3, 4, 5, 6)), v.at((1, 1, 2, 3))
    args: dict[str, object] = {"member_ids": members, "d" + axis: step}
    said = {
        "member": say.ids(v, member_noun(s, members), members),
        "off": f"{axis.upper()}방향으로 {plain(step)}m" if v.korean else f"{plain(step)} m in {axis.upper()}",
    }
    if count > 1:
        args["count"] = count
        said["count"] = f"{count}번" if v.korean else f"{count} times"
    ko = ch(
        "[{member}^을 ][{off} 간격으로 ][{count} ]복사해줘|[{member} ][{off}씩 ][{count} ]복사"
        "|[{off} 떨어진 곳에 ][{member}^을 ][{count} ]복사해 주세요"
    )
    return Command([("copy_members", args)], said, ko, ch("copy {member}[ by {off}][ {count}]"))


def set_spring_support(s: Situation) -> Command:
    v = s.speaker
    node, axis = v.at(s.model.free_nodes), v.at(("X", "Y", "Z"))
    stiffness = v.at((2000, 5000, 8000, 12000, 15000, 30000, 50000))
    said = {
        "node": say.ids(v, "node", [node]),
        "k": f"{stiffness}kN/m" if v.korean else f"{stiffness} kN/m",
        "dir": f"{axis}방향" if v.korean else f"in {axis}",
    }
    ko = ch(
        "{node}에 {dir} 스프링 지점 {k}^으로 설정해줘|{node}에 {dir} 강성 {k} 스프링을 넣어줘"
        "|{dir} 스프링 {k}^을 {node}에 지정해 주세요|{node} {dir} 탄성지점 {k}"
    )
    en = ch("add a spring support of {k} {dir} at {node}")
    return Command([("set_spring_support", {"node_id": node, "direction": axis, "stiffness": stiffness})], said, ko, en)


def set_support_settlement(s: Situation) -> Command:
    v = s.speaker
    node, value = v.at(s.model.supports), v.at((3, 5, 8, 10, 12, 15, 20, 25))
    slot, case = load_case(s, 0.25)
    said = {
        "node": f"{node}번 지점" if v.korean else f"node {node}",
        "mm": f"{value}mm" if v.korean else f"{value} mm",
    } | slot
    ko = ch(
        "{node}에 {mm} 지점침하^을 [{case} ]{!include}|{node}^이 {mm} 침하하는 조건 [{case} ]{!include}"
        "|[{case} ]{node} 침하 {mm} {!include}|{node}^이 {mm} 가라앉는 걸로 [{case} ]{!include}"
    )
    en = ch("{!include} a {mm} settlement at {node}[ {case}]")
    calls = [("set_support_settlement", {"node_id": node, "direction": "Z", "value": -value} | case)]
    return Command(calls, said, ko, en)


def add_temperature_load(s: Situation) -> Command:
    v = s.speaker
    members = s.some(v.at((s.model.beams, s.model.columns)), v.at((1, 2, 3)))
    value = v.at((10, 15, 20, 25, 30, 35, -10, -15, -20, -25))
    slot, case = load_case(s, 0.25)
    said = {"member": say.ids(v, member_noun(s, members), members)} | slot
    if v.korean:
        said["t"] = f"{'+' if value > 0 and v.chance(0.5) else ''}{value}도"
        ko = ch(
            "{member}에 온도하중 {t} [{case} ]{!add}|{member}에 {t} 온도변화를 [{case} ]{!add}"
            "|[{case} ]{member}에 온도 {t} {!add}"
        )
    else:
        said["t"] = f"{value} °C"
        ko = ch("")
    en = ch("{!add} a temperature change of {t} to {member}[ {case}]")
    return Command([("add_temperature_load", {"member_ids": members, "delta_t": value} | case)], said, ko, en)


def run_buckling_analysis(s: Situation) -> Command:
    v = s.speaker
    count = v.at((1, 2, 3, 4, 5, 6))
    args: dict[str, object] = {"num_modes": count}
    said = {"modes": f"{count}차까지" if v.korean else f"for {count} modes"}
    if v.chance(0.6):
        name = v.at(list(s.model.spec.combos))
        args = {"load_name": name} | args
        said["load"] = f"{name}^으로" if v.korean else f"under {name}"
    ko = ch(
        "[{load} ]좌굴해석 {modes} {!run}|[{load} ]{modes} 선형 좌굴해석^을 {!run}|좌굴해석 [{load} ]{modes} {!run}"
    )
    return Command([("run_buckling_analysis", args)], said, ko, ch("{!run} a buckling analysis[ {load}] {modes}"))
