"""Supports, releases, materials, sections, load cases and combinations."""

from data.structural.language.numerals import plain
from data.structural.language.speaker import Choice, Speaker, ch
from data.structural.requests import phrases as say
from data.structural.requests.intents.loads import member_noun
from data.structural.requests.request import Command, Situation

SUPPORT_KO = ch(
    "[{node}^을 ][{type}^으로 ]{!set}|[{node} ]<support>^을 [{type}^으로 ]{!set}"
    "|[{node}의 ]<support> [{type}^으로 ]{!set}|[{node}^은 ][{type}^으로 ]{!set}"
    "|[{node} ][{type}^으로]",
    val="[{type}^으로 ]{!set}, [{node}]",
    test="[{node}^을 ]그냥 [{type}^으로 ]{!set}|[{node} ]<support>^은 {type}^으로 가자"
    "|[{type} ]<support>^으로 [{node} ]{!set}",
)
SUPPORT_EN = ch(
    "{!set} {node}[ {type}]|{!set} the support at {node} to[ {type}]|{!set} {node} as[ {type}]"
    "|[{type} support ]at {node}",
    val="let {node} be[ {type}]|{!set} the support type of {node} to[ {type}]",
    test="{node} should be[ {type}]|change the boundary condition at {node} to[ {type}]",
)
_SUPPORTS: dict[str, tuple[Choice, Choice]] = {
    "fixed": (
        ch("고정|고정단|고정단|고정 지점", val="완전고정", test="픽스|완전 구속"),
        ch("fixed", val="fully fixed", test="rigid (fixed)"),
    ),
    "pinned": (
        ch("핀|힌지|핀 지점|힌지", val="핀단", test="회전단(핀)|핀 조건"),
        ch("pinned", val="a pin", test="hinged"),
    ),
    "roller": (ch("롤러|롤러 지점|롤러", val="롤러단", test="이동단(롤러)"), ch("roller", test="a roller")),
    "free": (ch("해제|자유|자유단", val="프리", test="구속 없음"), ch("free", test="unrestrained")),
}


def set_support(s: Situation) -> Command:
    v = s.speaker
    nodes = s.some(s.model.supports, v.at((1, 1, 1, 2, 3, 4)) if s.many == 1 else s.many)
    kind = v.at(("fixed", "pinned", "pinned", "roller", "roller", "free"))
    args = {"node_ids": nodes, "support_type": kind}
    text = v.pick(_SUPPORTS[kind][0 if v.lang == "ko" else 1])
    if v.lang == "mixed":
        text = kind
    if kind == "roller" and v.chance(0.4):
        axis = v.at(("X", "Y"))
        args["roller_direction"] = axis
        text = f"{axis}방향 {text}" if v.korean else f"a roller free in {axis}"
    elif v.lang == "ko" and v.show("correction"):
        other = v.at([k for k in ("fixed", "pinned") if k != kind])
        text = f"{v.pick(_SUPPORTS[other][0])} 말고 {text}"
    said = {"node": say.ids(v, "node", nodes, s.model.supports), "type": text}
    needs = {"node": ("node", ""), "type": ("support type", "")}
    return Command([("set_support", args)], said, SUPPORT_KO, SUPPORT_EN, needs, {"node": nodes[0]})


RELEASE_KO = ch(
    "[{member} ][{end}^을 ][{type}^으로 ]{!release}|[{member}의 ][{end} ][{type}^으로 ]{!release}"
    "|[{member}^은 ][{end} ][{type}^으로 ]{!release}|[{member} ][{end} ][{type}]",
    val="[{end}^을 ][{type}^으로 ]{!release}, [{member}]",
    test="[{type}^으로 ][{member} ][{end}^을 ]{!release}|[{member} ][{end}^은 ]{type}^으로 가자",
)
RELEASE_EN = ch(
    "{!release}[ {end} of] {member}[ {type}]|[For {member}, ]{!release}[ {end}][ {type}]"
    "|{!release} {member}[ {type} at {end}]",
    val="let {member} be[ {type} at {end}]",
    test="{member} should be[ {type} at {end}]",
)
_ENDS = {
    "i": (ch("i단|시작단|i단부", val="i측", test="i쪽 끝"), ch("the i-end|end i", test="the start end")),
    "j": (ch("j단|끝단|j단부", val="j측", test="j쪽 끝"), ch("the j-end|end j", test="the far end (j)")),
    "both": (ch("양단|양쪽 단부|양단부", val="양끝", test="양쪽 끝"), ch("both ends", test="each end")),
}
_JOINTS = {
    "pinned": (
        ch("핀|핀접합|힌지|모멘트 해제", val="핀 연결", test="전단접합(핀)|핀 이음"),
        ch("pinned", test="hinged"),
    ),
    "fixed": (
        ch("강접합|고정|강접|모멘트접합", val="강결", test="강접 연결"),
        ch("fixed", test="moment-connected (fixed)"),
    ),
}


def set_end_release(s: Situation) -> Command:
    v = s.speaker
    members = s.some(s.model.beams, v.at((1, 1, 2, 3)) if s.many == 1 else s.many)
    end, kind = v.at(("i", "j", "both", "both")), v.at(("pinned", "pinned", "fixed"))
    column = 0 if v.lang == "ko" else 1
    said = {
        "member": say.ids(v, member_noun(s, members), members, s.model.beams),
        "end": v.pick(_ENDS[end][0 if v.korean else 1]),
        "type": v.pick(_JOINTS[kind][column]),
    }
    needs = {"member": ("member", ""), "type": ("release type", "")}
    calls = [("set_end_release", {"member_ids": members, "end": end, "release": kind})]
    return Command(calls, said, RELEASE_KO, RELEASE_EN, needs)


MATERIAL_KO = ch(
    "[{grade} ]{kind}^을 <material>^으로 {!define}|<material>에 [{grade} ]{kind}^을 {!define}"
    "|[{grade} ]{kind} <material> {!define}[, 이름은 {name}^으로]"
    "|{kind} <material>^을 [{grade}^으로 ]{!define}",
    val="<material> 목록에 [{grade} ]{kind} {!define}",
    test="[{grade} ]{kind}도 <material>^으로 {!define}|{!define}, [{grade} ]{kind} <material>",
)
MATERIAL_EN = ch(
    "{!define}[ {grade}] {kind} as a material"
    "|{!define} a {kind} material[ {grade}][ named {name}]|{!define} material[ {grade}] {kind}",
    val="{!define}[ {grade}] {kind} in the material list",
    test="we need[ {grade}] {kind} as a material, {!define} it",
)
_STEEL = ("SS275", "SM275", "SM355", "SM420", "SM460", "SHN275", "SHN355")
_CONCRETE = ("C21", "C24", "C27", "C30", "C35", "C40")


def define_material(s: Situation) -> Command:
    v = s.speaker
    kind = v.at(("steel", "concrete"))
    grade = s.fix.get("grade") or v.at(
        [g for g in (_STEEL if kind == "steel" else _CONCRETE) if g not in s.model.spec.materials]
    )
    kind = "steel" if grade in _STEEL else "concrete"
    names = {"steel": ch("강재|강재|철골", test="스틸"), "concrete": ch("콘크리트", test="RC 콘크리트")}
    text = v.pick(names[kind]) if v.lang == "ko" else kind
    calls = [("define_material", {"material_type": kind, "grade": grade})]
    return Command(
        calls,
        {"grade": grade, "kind": text},
        MATERIAL_KO,
        MATERIAL_EN,
        {"grade": ("material grade", "")},
        {"grade": grade},
    )


SECTION_KO = ch(
    "[{dims} ]{shape} <section>^을 [{material}^으로 ]{!define}"
    "|[{dims} ]{shape} {!define}[, 재료는 {material}]"
    "|{shape} <section>[ {dims}] [{material}^으로 ]{!define}"
    "|[{name} 이름으로 ][{dims} ]{shape} <section> {!define}",
    val="<section>에 [{dims} ]{shape}^을 [{material}^으로 ]{!define}",
    test="<section>^을 새로 {!define}, {shape}[ {dims}][ {material}]"
    "|[{material} ]{shape} <section>^을 [{dims}^으로 ]{!define}",
)
SECTION_EN = ch(
    "{!define} a {shape} section[ {dims}][ in {material}][ named {name}]"
    "|{!define} a[ {dims}] {shape} section[ of {material}]",
    val="{!define} one more {shape} section[, {dims}][, in {material}]",
    test="a new {shape} section is needed,[ {dims}][ {material}]",
)
_SHAPES = {
    "H": (ch("H형강|H형강|H", test="H빔"), ch("H")),
    "box": (ch("각형강관|각형강관", val="각관", test="박스"), ch("box")),
    "pipe": (ch("강관|원형강관", test="파이프"), ch("pipe")),
    "rectangle": (ch("직사각형|사각형|직사각형", test="장방형"), ch("rectangular")),
    "circle": (ch("원형|원형"), ch("circular")),
}
_DIMENSIONS = {
    "H": (
        (200, 200, 8, 12),
        (396, 199, 7, 11),
        (248, 124, 5, 8),
        (506, 201, 11, 19),
        (700, 300, 13, 24),
        (414, 405, 18, 28),
        (150, 150, 7, 10),
    ),
    "box": ((150, 150, 6), (200, 200, 9), (250, 250, 12), (300, 200, 9), (400, 400, 16)),
    "pipe": ((114.3, 4.5), (165.2, 6), (216.3, 8), (318.5, 9), (406.4, 12)),
    "rectangle": ((300, 600), (350, 650), (400, 700), (500, 800), (450, 900), (600, 700)),
    "circle": ((400,), (500,), (600,), (700,), (800,)),
}
_AS = {
    "rectangle": (ch("{0}x{1}|폭 {0}, 높이 {1}|{0}×{1}", test="B={0}, H={1}"), ch("{0}x{1}|{0} wide and {1} deep")),
    "circle": (ch("지름 {0}|직경 {0}|D={0}", test="D{0}"), ch("D={0}|{0} diameter")),
    "pipe": (ch("{0}x{1}|D={0}, t={1}|지름 {0} 두께 {1}", test="{0}×{1}t"), ch("{0}x{1}|D={0} t={1}")),
}


def define_section(s: Situation) -> Command:
    v = s.speaker
    shape = v.at(("H", "H", "box", "pipe", "rectangle", "rectangle", "circle"))
    size = v.at(_DIMENSIONS[shape])
    column = 0 if v.korean else 1
    if shape in _AS:
        unit, scale = ("", 1)
        if shape != "pipe" and v.show("unit_conversion"):
            unit, scale = v.at((("m", 1000), ("cm", 10)))
        elif v.chance(0.3) and v.lang != "en":
            unit = "mm"
        pattern = v.pick(_AS[shape][column])
        pieces = [
            plain(round(d / scale, 4)) + (unit if "x" not in pattern and "×" not in pattern else "") for d in size
        ]
        dims = pattern.format(*pieces) + (unit if "x" in pattern or "×" in pattern else "")
    else:
        dims = "x".join(plain(d) for d in size)
        if shape == "H" and v.chance(0.4):
            dims = f"H-{dims}"
    args: dict[str, object] = {"shape": shape, "dimensions": list(size)}
    said = {"dims": dims, "shape": v.pick(_SHAPES[shape][0 if v.lang == "ko" else 1])}
    if "name" in s.fix or v.chance(0.25):
        name = s.fix.get("name") or v.at(("G1", "G2", "C1", "C2", "B1", "SG1"))
        args = {"name": name} | args
        said["name"] = name
    elif "material" in s.fix or v.chance(0.4):
        steel = shape in ("H", "box", "pipe")
        grade = s.fix.get("material") or s.model.spec.materials[0 if steel else 1]
        args["material"] = grade
        said["material"] = grade
    needs = {"dims": ("section dimensions", "")}
    return Command([("define_section", args)], said, SECTION_KO, SECTION_EN, needs, {"section": args.get("name")})


ASSIGN_KO = ch(
    "[{member} ]<section>^을 [{section}^으로 ]{!change}|[{member}^을 ][{section}^으로 ]{!change}"
    "|[{member}의 ]<section> [{section}^으로 ]{!change}"
    "|[{section}^으로 ][{member} ]<section> {!change}",
    val="[{member}^은 ][{section} <section>^으로 ]{!change}",
    test="[{section} ]<section>^을 [{member}에 ]{!change}"
    "|[{member} ]<section>^은 {section}^으로 가자|{!change}, [{member}^을 ][{section}^으로]",
)
ASSIGN_EN = ch(
    "{!change} the section of {member} to[ {section}]|{!change} {member} to[ {section}]"
    "|{!change} the section on {member}[ to {section}]",
    val="{!change} {member} over to[ {section}]",
    test="{member} should use[ {section}]|use[ {section}] for {member}",
)


def assign_section(s: Situation) -> Command:
    v = s.speaker
    pool = v.at((s.model.beams, s.model.columns))
    members = s.some(pool, v.at((1, 1, 2, 3, 4)) if s.many == 1 else s.many)
    section = s.fix.get("section") or v.at(s.model.spec.sections)
    said = {"member": say.ids(v, member_noun(s, members), members, pool), "section": section}
    needs = {"member": ("member", ""), "section": ("section", "")}
    calls = [("assign_section", {"member_ids": members, "section": section})]
    return Command(calls, said, ASSIGN_KO, ASSIGN_EN, needs, {"members": members})


CASE_KO = ch(
    "{kind} <case> [{name}^을 ]{!make}|[{name} ]<case>^을 {kind}^으로 {!make}"
    "|{kind}용 <case> [{name} ]{!make}|{kind} <case>^을 [{name} 이름으로 ]{!make}",
    val="<case> [{name}^을 ]{kind} 타입으로 {!make}",
    test="[{name}^이라는 ]{kind} <case>^을 {!make}|{!make}, {kind} <case>[ {name}]",
)
CASE_EN = ch(
    "{!make} a {kind} load case[ {name}]|{!make} a {kind} load case[ named {name}]"
    "|{!make} load case[ {name}] for {kind}",
    val="{!make} one {kind} load case[, name it {name}]",
    test="we need a {kind} case[ called {name}], {!make} it",
)
_TYPES = {
    "dead": ("고정하중", "dead", ("DL2", "SDL", "FIN")),
    "live": ("활하중", "live", ("LL2", "LLP", "CONL")),
    "roof_live": ("지붕활하중", "roof live", ("LR", "RLL")),
    "snow": ("적설하중", "snow", ("SN", "S2")),
    "wind": ("풍하중", "wind", ("WXN", "WYN", "W45")),
    "seismic": ("지진하중", "seismic", ("EXP", "EYN", "EV")),
    "earth_pressure": ("토압", "earth pressure", ("EP", "SOIL")),
    "temperature": ("온도하중", "temperature", ("TP", "TN")),
}


def create_load_case(s: Situation) -> Command:
    v = s.speaker
    kind = v.at(tuple(sorted(_TYPES))) if "kind" not in s.fix else v.at(s.fix["kind"])
    korean, english, names = _TYPES[kind]
    name = v.at([n for n in names if n not in s.model.cases])
    said = {"kind": korean if v.lang == "ko" else english, "name": name}
    calls = [("create_load_case", {"name": name, "load_type": kind})]
    return Command(calls, said, CASE_KO, CASE_EN, {"name": ("load case name", "")}, {"case": name})


COMBO_KO = ch(
    "<combo> [{name}^을 ][{factors}^으로 ]{!make}|[{factors} ]<combo>^을 [{name}^으로 ]{!make}"
    "|[{name} ]<combo> [{factors}^으로 ]{!make}|<combo> [{name} = ][{factors} ]{!make}",
    val="[{name}^이라는 이름으로 ][{factors} ]<combo> {!make}",
    test="<combo>^을 [{factors}^으로 ]{!make}, [이름은 {name}]|[{name}: {factors} ]<combo> {!make}"
    "|[{factors}^을 ][{name}^으로 ]묶어서 <combo> {!make}",
)
COMBO_EN = ch(
    "{!make} combination[ {name}][ = {factors}]|{!make} load combination[ {name}][ as {factors}]"
    "|{!make}[ {factors}] as combination[ {name}]",
    val="{!make} combination[ {name}], that is[ {factors}]",
    test="combine[ {factors}] into[ {name}], a load combination|{!make} a combination of[ {factors}][ called {name}]",
)


def create_load_combination(s: Situation) -> Command:
    v, m = s.speaker, s.model
    calls, pieces = [], []
    used: list[str] = []
    prefix, number = "LCB", 5
    for _ in range(s.many):
        if not used:
            prefix, number = v.at(("LCB", "LCB", "COMB", "CB")), int(v.rng.random() * 40) + 5
        used.append(f"{prefix}{number + len(used)}")
        name = used[-1]
        cases = [m.case_of("dead")]
        others = [c for c in m.cases if c != cases[0]]
        for _ in range(v.at((1, 1, 2))):
            cases.append(others.pop(int(v.rng.random() * len(others))))
        factors = {
            c: v.at(
                (1.2, 0.9, 1.0, 1.4) if i == 0 else (1.6, 1.0, 0.5, 1.3, -1.0 if i == len(cases) - 1 and i > 1 else 1.0)
            )
            for i, c in enumerate(cases)
        }
        calls.append(("create_load_combination", {"name": name, "factors": factors}))
        pieces.append(_sum(factors, v.chance(0.3)))
    if s.many > 1:
        if v.korean:
            text = ", ".join(f"{n}^은 {p}" for n, p in zip(used, pieces, strict=True))
        else:
            text = " and ".join(f"{n} = {p}" for n, p in zip(used, pieces, strict=True))
        return Command(
            calls,
            {"factors": text},
            ch("<combo> {factors}^으로 {!make}|{factors} <combo> {!make}"),
            ch("{!make} combinations {factors}"),
        )
    said = {"name": used[0], "factors": pieces[0]}
    needs = {"factors": ("load factors", "")}
    return Command(calls, said, COMBO_KO, COMBO_EN, needs, {"combo": used[0]})


def _sum(factors: dict[str, float], spaced: bool) -> str:
    text = ""
    for case, factor in factors.items():
        sign = "-" if factor < 0 else "+" if text else ""
        joint = f" {sign} " if spaced and text else sign
        text += f"{joint}{abs(factor)}{case}"
    return text


CODE_KO = ch(
    "[{code}^으로 ]<combo>^을 [{method} ]자동 생성해줘"
    "|[{code} 기준으로 ][{method} ]<combo> 자동으로 {!make}"
    "|[{code}에 따라 ]<combo> [{method} ]자동 생성|[{code} ][{method} ]<combo> 한번에 {!make}",
    val="[{code}에 맞춰 ][{method} ]<combo> 자동 생성 바랍니다",
    test="[{code}의 ][{method} ]<combo>^을 알아서 {!make}|기준 <combo> 전부 {!make}, [{code}][ {method}]",
)
CODE_EN = ch(
    "generate load combinations[ per {code}][ with {method}]"
    "|auto-generate the combinations[ from {code}][ using {method}]",
    val="produce the combinations automatically[ following {code}][ for {method}]",
    test="let the program build all combinations[ to {code}][ by {method}]",
)
_CODES = {
    "KDS 41 12:2022": ch("KDS 41 12|KDS 41 12:2022|KDS 41 12 00|건축물 설계하중 기준(KDS 41 12)"),
    "KDS 41 20:2022": ch("KDS 41 20|KDS 41 20:2022|콘크리트구조 기준(KDS 41 20)|콘크리트구조 기준"),
    "KDS 41 30:2022": ch("KDS 41 30|KDS 41 30:2022|강구조 기준(KDS 41 30)|강구조 기준"),
}


def code(v: Speaker, name: str) -> str:
    """A design code as engineers name it."""
    return v.pick(_CODES[name], lambda t: v.lang == "ko" or t.isascii())


def generate_code_combinations(s: Situation) -> Command:
    v = s.speaker
    name = v.at(tuple(sorted(_CODES)))
    args, said = {"code": name}, {"code": code(v, name)}
    if v.chance(0.4):
        args["method"] = v.at(("strength", "allowable"))
        korean = {"strength": "강도설계법으로", "allowable": "허용응력설계법으로"}
        said["method"] = korean[args["method"]] if v.korean else f"{args['method']} design"
    return Command([("generate_code_combinations", args)], said, CODE_KO, CODE_EN, {"code": ("design code", "")})
