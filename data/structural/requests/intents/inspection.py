"""Results: query, check, draw and export."""

from typing import Any

from data.structural.language.lexicon import word
from data.structural.language.speaker import Choice, ch
from data.structural.requests import phrases as say
from data.structural.requests.intents.loads import member_noun
from data.structural.requests.intents.modelling import code
from data.structural.requests.request import Command, Situation

QUERY_KO = ch(
    "[{load} ][{where}의 ]{what} {!query}|[{load} ][{where} ]{what}^을 {!query}"
    "|[{where} ]{what}[ {load}] {!query}|[{where} ]{what}^은[ {load}] 얼마야?"
    "|[{load} ][{where} ]{what}|[{where} ][{load} ]{what}만 {!query}",
    val="[{where} ]{what}^이 [{load} ]얼마인지 {!query}|[{load} ][{where} ]{what}^이 궁금해",
    test="{what} {!query}, [{load} ][{where}]|[{where}^은 ][{load} ]{what}^이 어떻게 나와?"
    "|[{load} ][{where} ]{what} 값 좀 {!query}",
)
QUERY_EN = ch(
    "{!query} the {what}[ {where}][ {load}]|what is the {what}[ {where}][ {load}]?|{!query} {what}[ {where}][ {load}]",
    val="how large is the {what}[ {where}][ {load}]?",
    test="[{load}, ]what {what} do we get[ {where}]?|I'd like the {what}[ {where}][ {load}]",
)
_COMPONENTS: dict[str, tuple[Choice, Choice]] = {
    "DX": (ch("X변위|X방향 변위|DX", val="X쪽 변위", test="변위 X성분"), ch("X displacement|displacement in X")),
    "DY": (ch("Y변위|Y방향 변위|DY", val="Y쪽 변위", test="변위 Y성분"), ch("Y displacement|displacement in Y")),
    "DZ": (
        ch("처짐|연직변위|Z방향 변위|DZ", val="Z변위", test="수직변위|변위 Z성분"),
        ch("vertical displacement|Z displacement", test="displacement in Z"),
    ),
    "RX": (ch("X축 회전각|RX", test="X축 회전"), ch("rotation RX|X rotation")),
    "RY": (ch("Y축 회전각|RY", test="Y축 회전"), ch("rotation RY|Y rotation")),
    "RZ": (ch("Z축 회전각|RZ", test="Z축 회전"), ch("rotation RZ|Z rotation")),
    "FX": (ch("X방향 반력|반력 FX|X반력", test="반력 X성분"), ch("X reaction|FX reaction", test="reaction in X")),
    "FY": (ch("Y방향 반력|반력 FY|Y반력", test="반력 Y성분"), ch("Y reaction|FY reaction", test="reaction in Y")),
    "FZ": (
        ch("연직 반력|수직반력|반력 FZ", val="Z방향 반력", test="반력 Z성분"),
        ch("vertical reaction|FZ reaction", test="reaction in Z"),
    ),
    "MX": (ch("반력 모멘트 MX|반력 MX"), ch("reaction moment MX|MX reaction")),
    "MY": (ch("반력 모멘트 MY|반력 MY"), ch("reaction moment MY|MY reaction")),
    "N": (ch("축력|축방향력|축력 N", val="축하중", test="부재 축력"), ch("axial force", test="normal force")),
    "Vy": (ch("전단력 Vy|Vy 전단력|약축 전단력"), ch("shear force Vy|Vy shear")),
    "Vz": (ch("전단력 Vz|Vz 전단력|강축 전단력"), ch("shear force Vz|Vz shear")),
    "T": (ch("비틀림|비틀림 모멘트", test="토션"), ch("torsion", test="torsional moment")),
    "My": (
        ch("강축 휨모멘트|휨모멘트 My|My", val="강축 모멘트", test="강축 휨|My 휨"),
        ch("bending moment My|strong-axis moment"),
    ),
    "Mz": (
        ch("약축 휨모멘트|휨모멘트 Mz|Mz", val="약축 모멘트", test="약축 휨|Mz 휨"),
        ch("bending moment Mz|weak-axis moment"),
    ),
}


def result_load(s: Situation, share: float = 0.5) -> tuple[dict[str, str], dict[str, str]]:
    """The optional load whose results are meant: (slot, argument)."""
    name = s.fix.get("load")
    if name is None and s.speaker.chance(share + s.speaker.detail):
        name = s.speaker.at(s.speaker.at((list(s.model.spec.combos), s.model.cases)))
    if name is None or not s.fix.get("say_load", True):
        return {}, {"load_name": name} if name else {}
    return {"load": say.under(s.speaker, name)}, {"load_name": name}


def _component(s: Situation, name: str, general: str) -> str:
    v = s.speaker
    if not name and general == "force":
        return v.pick(
            ch("부재력|부재력", val="단면력", test="내력") if v.lang == "ko" else ch("member force|internal force")
        )
    if not name:
        return word(v, general)
    korean, english = _COMPONENTS[name]
    return v.at((name, english.train[0])) if v.lang == "mixed" else v.either(korean, english)


def get_displacement(s: Situation) -> Command:
    v = s.speaker
    nodes = s.fix.get("nodes") or s.some(s.model.free_nodes, s.many)
    name = v.at(("DX", "DX", "DY", "DZ", "DZ", "RX", "RY", "RZ", "", ""))
    slot, load = result_load(s)
    args = ({"component": name} if name else {}) | load
    where = say.ids(v, "node", nodes, s.model.free_nodes)
    said = {"where": where if v.korean else f"at {where}", "what": _component(s, name, "displacement")} | slot
    calls = [("get_displacement", {"node_id": n} | args) for n in nodes]
    return Command(calls, said, QUERY_KO, QUERY_EN, {"where": ("node", "")}, {"node": nodes[-1]} | args)


def get_reaction(s: Situation) -> Command:
    v = s.speaker
    everywhere = s.many == 1 and v.chance(0.2)
    nodes = [] if everywhere else s.some(s.model.supports, s.many)
    name = v.at(("FX", "FY", "FZ", "FZ", "MX", "MY", "", ""))
    slot, load = result_load(s)
    args = ({"component": name} if name else {}) | load
    what = _component(s, name, "reaction")
    if everywhere:
        where = v.either(ch("전체|전체 지점|모든 지점", val="전 지점", test="지점 전부"), "at all supports")
        return Command([("get_reaction", args)], {"where": where, "what": what} | slot, QUERY_KO, QUERY_EN)
    where = say.ids(v, "node", nodes, s.model.supports)
    if v.lang == "ko" and v.chance(0.3) and len(nodes) == 1:
        where = f"{nodes[0]}번 지점"
    said = {"where": where if v.korean else f"at {where}", "what": what} | slot
    calls = [("get_reaction", {"node_id": n} | args) for n in nodes]
    return Command(calls, said, QUERY_KO, QUERY_EN, {}, {"node": nodes[-1]} | args)


def get_member_force(s: Situation) -> Command:
    v = s.speaker
    pool = v.at((s.model.beams, s.model.columns))
    members = s.some(pool, s.many)
    name = v.at(("N", "N", "Vy", "Vz", "T", "My", "My", "Mz", "", ""))
    slot, load = result_load(s)
    args: dict[str, Any] = {**({"component": name} if name else {}), **load}
    where = say.ids(v, member_noun(s, members), members, pool)
    if v.chance(0.25) and s.many == 1:
        place = args["position"] = v.at((0, 0.5, 0.5, 1))
        spoken = {0: ("시작단", "at the start"), 0.5: ("중앙", "at midspan"), 1: ("끝단", "at the end")}[place]
        where = f"{where} {spoken[0]}" if v.korean else f"{spoken[1]} of {where}"
    elif not v.korean:
        where = f"in {where}"
    said = {"where": where, "what": _component(s, name, "force")} | slot
    calls = [("get_member_force", {"member_id": m} | args) for m in members]
    return Command(calls, said, QUERY_KO, QUERY_EN, {"where": ("member", "")}, {"member": members[-1]})


DRIFT_KO = ch(
    "[{load} ][{story} ][{dir} ]<drift> {!query}|[{story} ][{dir} ]<drift>^을 [{load} ]{!query}"
    "|[{dir} ][{story} ]<drift>[ {load}] {!query}"
    "|[{load} ][{dir} ][{story} ]<drift> 값만 {!query}"
    "|[{story} ][{dir} ]<drift>^이[ {load}] 얼마야?",
    val="[{dir} ]<drift>^이 [{story} ][{load} ]얼마나 되는지 {!query}",
    test="<drift> {!query}, [{load} ][{story} ][{dir}]|[{story}^은 ][{load} ][{dir} ]<drift>^이 어떻게 돼?",
)
DRIFT_EN = ch(
    "{!query} the <drift>[ in {dir}][ of {story}][ {load}]"
    "|what is the[ {dir}] <drift>[ at {story}][ {load}]?"
    "|{!query}[ {dir}] story drift[ at {story}][ {load}]",
    val="{!query} how far the floors drift[ in {dir}][ at {story}][ {load}]",
    test="how much <drift>[ in {dir}] do we have[ at {story}][ {load}]?",
)


def _axes(s: Situation) -> tuple[tuple[str, ...], str]:
    v = s.speaker
    if s.many > 1:
        return ("X", "Y"), "X, Y 두 방향" if v.korean and v.chance(0.5) else "X, Y방향" if v.korean else "X and Y"
    axis = v.at(("X", "Y"))
    return (axis,), v.either(ch("{d}방향|{d}방향|{d}축", test="{d}축 방향"), "{d}").format(d=axis)


def get_story_drift(s: Situation) -> Command:
    v = s.speaker
    axes, spoken = _axes(s)
    slot, load = result_load(s)
    said = {"dir": spoken} | slot
    args: dict[str, str] = {}
    if v.chance(0.5):
        args["story"] = v.at(s.model.stories)
        said["story"] = say.story(v, args["story"]).removesuffix(" 바닥").removesuffix(" 슬래브")
    calls = [("get_story_drift", {"direction": d} | args | load) for d in axes]
    return Command(calls, said, DRIFT_KO, DRIFT_EN, {"dir": ("direction X or Y", "")}, {"dir": axes[0]} | args | load)


CHECK_KO = ch(
    "[{load} ][{grade} ][{limit} ][{dir} ]<drift>^을 {!check}"
    "|[{dir} ]<drift>^이 [{limit} ][{grade} ]만족하는지 [{load} ]{!check}"
    "|[{dir} ]<drift> {!check}[, {load}][, {grade}][, {limit}]"
    "|[{load} ][{dir} ]<drift>^이 [{grade} ][{limit} ]허용값 이내인지 {!check}",
    val="[{dir} ]<drift>^이 [{load} ][{grade} ][{limit} ]괜찮은지 {!check}",
    test="[{dir} ]<drift>^이 [{load} ][{grade} ][{limit} ]넘지 않는지 {!check}"
    "|{!check}, [{load} ][{dir} ]<drift> 적합 여부[ {grade}][ {limit}]",
)
CHECK_EN = ch(
    "{!check} the[ {dir}] <drift>[ against {limit}][ for {grade}][ {load}]"
    "|{!check} whether the[ {dir}] <drift> is within the limit[ {limit}][ for {grade}][ {load}]",
    val="is the[ {dir}] <drift> acceptable[ against {limit}][ for {grade}][ {load}]? {!check} it",
    test="does the[ {dir}] <drift> satisfy the limit[ {limit}][ for {grade}][ {load}]?",
)


_GRADES = {
    "special": ch("내진 특등급으로|내진등급 특"),
    "I": ch("내진 1등급으로|내진등급 I|내진 I등급"),
    "II": ch("내진 2등급으로|내진등급 II|내진 II등급"),
}
_LIMITS = (
    *(("1/200", 0.005), ("1/400", 0.0025), ("1/500", 0.002), ("1.5%", 0.015)),
    *(("1%", 0.01), ("0.015", 0.015), ("0.02", 0.02), ("2%", 0.02)),
)


def check_story_drift(s: Situation) -> Command:
    v = s.speaker
    axes, spoken = _axes(s)
    slot, load = result_load(s)
    args: dict[str, object] = {}
    said = {"dir": spoken} | slot
    if v.chance(0.4):
        grade = args["seismic_grade"] = v.at(tuple(_GRADES))
        said["grade"] = v.either(_GRADES[grade], f"seismic grade {grade}")
    elif v.chance(0.7):
        text, args["limit_ratio"] = v.at(_LIMITS)
        v.shown.append("unit_conversion")
        korean = ch("{r} 기준으로|허용 {r}^으로|한계 {r}^으로", val="허용비 {r}^으로", test="{r}^을 허용치로")
        said["limit"] = v.either(korean, "{r}").format(r=text)
    calls = [("check_story_drift", {"direction": d} | args | load) for d in axes]
    return Command(calls, said, CHECK_KO, CHECK_EN, {"dir": ("direction X or Y", "")})


DESIGN_KO = ch(
    "[{member} ][{load} ][{code}^으로 ]{what} {!check}"
    "|[{code}^으로 ][{load} ][{member} ]{what} {!check}"
    "|[{load} ][{member}^을 ][{code} ]{what} {!check}"
    "|[{member} ]{what}[ {code}][ {load}] {!check}",
    val="[{member}^이 ][{code}^을 만족하는지 ][{load} ]{what} {!check}",
    test="{what} {!check}, [{load} ][{member} ][{code}^으로]"
    "|[{code}에 비춰 ][{member} ][{load} ]{what}^이 되는지 {!check}",
)
DESIGN_EN = ch(
    "{!check} the design of {member}[ to {code}][ {load}]"
    "|{!check} {member} strength[ per {code}][ {load}]"
    "|{!check} the strength ratio of {member}[ using {code}][ {load}]",
    val="{!check} if {member} are strong enough[ by {code}][ {load}]",
    test="do {member} pass[ {code}][ {load}]? {!check} them",
)


def check_member_design(s: Situation) -> Command:
    v = s.speaker
    name = v.at(("KDS 41 20:2022", "KDS 41 30:2022", "KDS 41 30:2022"))
    slot, load = result_load(s, 0.4)
    args: dict[str, object] = {}
    said = {"code": code(v, name)} | slot
    members = s.fix.get("members") or (
        s.some(v.at((s.model.beams, s.model.columns)), v.at((1, 1, 2, 3))) if v.chance(0.75) else []
    )
    if members:
        args["member_ids"] = members
        said["member"] = say.ids(v, member_noun(s, members), members)
    else:
        said["member"] = v.at(("전체 부재", "모든 부재")) if v.korean else "all members"
    args |= {"code": name} | load
    if v.korean:
        said["what"] = v.pick(ch("강도비|강도|설계|강도비", val="설계강도", test="내력비"))
    return Command([("check_member_design", args)], said, DESIGN_KO, DESIGN_EN, {"code": ("design code", "")})


SHOW_KO = ch(
    "[{load} ]{what} {!show}|[{load} ]{what}^을 화면에 {!show}|{what} [{load} ]{!show}"
    "|[{load} ]{what} 좀 {!show}|[{load} ]{what}",
    val="[{load} ]{what}^을 한번 {!show}",
    test="{!show}, [{load} ]{what}|{what}^이 [{load} ]어떤지 {!show}|[{load} ]{what}도 화면으로 {!show}",
)
SHOW_EN = ch(
    "{!show} the {what}[ {load}]|{!show} {what}[ {load}]|can you {!show} the {what}[ {load}]?",
    val="please {!show} the {what}[ {load}] on screen",
    test="let me see the {what}[ {load}]|[{load}, ]{!show} the {what}",
)
_DIAGRAMS: dict[str, tuple[Choice, Choice]] = {
    "moment": (
        ch("휨모멘트도|모멘트도|BMD|휨모멘트도", val="모멘트 다이어그램", test="휨모멘트 그림|모멘트 선도"),
        ch("moment diagram|bending moment diagram", test="BMD"),
    ),
    "shear": (
        ch("전단력도|전단력도|SFD", val="전단 다이어그램", test="전단력 그림|전단 선도"),
        ch("shear diagram|shear force diagram", test="SFD"),
    ),
    "axial": (
        ch("축력도|축력도|AFD", val="축력 다이어그램", test="축력 그림|축방향력도"),
        ch("axial force diagram|axial diagram", test="AFD"),
    ),
    "deformed": (
        ch("변형도|변형 형상|변형도", val="변형 모양", test="변형된 형상|처짐 형상"),
        ch("deformed shape", test="deflected shape"),
    ),
    "reaction": (
        ch("반력도|반력도", val="반력 다이어그램", test="반력 그림"),
        ch("reaction diagram", test="reactions plot"),
    ),
}


def show_diagram(s: Situation) -> Command:
    v = s.speaker
    kind = s.fix.get("diagram") or v.at(("moment", "moment", "shear", "axial", "deformed", "reaction", "mode_shape"))
    if kind == "mode_shape":
        mode = s.fix.get("mode") or v.at((1, 1, 2, 2, 3, 4, 5))
        what = v.either(
            ch(
                "{n}차 모드형상|{n}차 모드 형상|모드 {n} 형상",
                val="{n}차 모드 그림",
                test="{n}차 진동형|{n}차 모드 모양",
            ),
            ch("mode shape {n}|shape of mode {n}", test="mode {n} shape"),
        ).format(n=mode)
        return Command([("show_diagram", {"diagram": kind, "mode": mode})], {"what": what}, SHOW_KO, SHOW_EN)
    slot, load = result_load(s, 0.65)
    what = v.pick(_DIAGRAMS[kind][0 if v.lang == "ko" or (v.korean and v.chance(0.3)) else 1])
    calls = [("show_diagram", {"diagram": kind} | load)]
    return Command(calls, {"what": what} | slot, SHOW_KO, SHOW_EN, {}, {"diagram": kind} | load)


EXPORT_KO = ch(
    "[{what}^을 ][{format}^으로 ]{!export}"
    "|[{what} ][{format} 파일로 ]{!export}[, 파일명은 {file}]|[{format}^으로 ][{what} ]{!export}"
    "|[{what}^을 ][{file} 이름의 ][{format}^으로 ]{!export}",
    val="[{what}^만 ][{format}^으로 ]{!export}".replace("^만", "만"),
    test="[{format} 파일에 ][{what}^을 ]{!export}|{!export}, [{what} ][{format}^으로]"
    "|[{what}^은 ][{format}^으로 ][{file} 이름으로 ]{!export}",
)
EXPORT_EN = ch(
    "{!export}[ the {what}][ to {format}][ as {file}]|{!export}[ {what}][ as a {format} file][ named {file}]",
    val="{!export}[ the {what}] into[ {format}][, named {file}]",
    test="I need[ the {what}][ in {format}][ called {file}]",
)
_CONTENT = {
    "displacement": ("변위", "displacements"),
    "reaction": ("반력", "reactions"),
    "member_force": ("부재력", "member forces"),
    "story_drift": ("층간변위", "story drifts"),
    "modal": ("모드 결과", "modal results"),
    "design": ("설계 검토 결과", "design results"),
}
_FORMATS = {
    "xlsx": (ch("엑셀|xlsx|엑셀", test="엑셀시트"), "Excel"),
    "csv": (ch("csv|CSV"), "CSV"),
    "pdf": (ch("PDF|pdf"), "PDF"),
    "json": (ch("json|JSON"), "JSON"),
}


def export_results(s: Situation) -> Command:
    v = s.speaker
    names = sorted(_CONTENT)
    content = s.fix.get("content") or [names.pop(int(v.rng.random() * len(names))) for _ in range(v.at((1, 1, 2)))]
    file = v.at(("xlsx", "xlsx", "csv", "pdf", "json"))
    args: dict[str, object] = {"content": content, "format": file}
    words = [_CONTENT[c][0 if v.korean else 1] for c in content]
    said = {"what": v.at(("^과 ", "^이랑 ", ", ")).join(words) if v.korean else " and ".join(words)}
    said["format"] = v.pick(_FORMATS[file][0]) if v.lang == "ko" else _FORMATS[file][1]
    if v.chance(0.25):
        name = v.at(("결과보고", "해석결과", "report", "result_v2", "구조검토", "summary"))
        args["file_name"] = name
        said["file"] = name
    needs = {"what": ("export content", "결과" if v.korean else "results"), "format": ("file format", "")}
    return Command([("export_results", args)], said, EXPORT_KO, EXPORT_EN, needs)
