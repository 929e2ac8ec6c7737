"""Analyses: static, modal and response spectrum."""

from data.structural.language.numerals import native, plain
from data.structural.language.speaker import ch
from data.structural.requests.request import Command, Situation

STATIC_KO = ch(
    "[{loads} ][{pdelta} ]<static>^을 {!run}|[{loads} ][{pdelta} ]<static> {!run}"
    "|<static> [{loads} ][{pdelta} ]{!run}|[{pdelta} ][{loads} ]<static> {!run}",
    val="이제 [{loads} ][{pdelta} ]<static> {!run}",
    test="{!run}, [{loads} ][{pdelta} ]<static>|<static>^은 [{loads} ][{pdelta} ]{!run}"
    "|<static> 한 번 [{loads} ][{pdelta} ]{!run}",
)
STATIC_EN = ch(
    "{!run} a static analysis[ {loads}][ {pdelta}]|{!run} <static>[ {loads}][ {pdelta}]"
    "|{!run} the <static>[ {pdelta}][ {loads}]",
    val="now {!run} the <static>[ {loads}][ {pdelta}]",
    test="time for the <static>[ {loads}][ {pdelta}], {!run} it",
)


def load_names(s: Situation) -> list[str]:
    """One or two load cases or combinations whose results exist together."""
    v = s.speaker
    pool = v.at((list(s.model.spec.combos), s.model.cases))
    count = v.at((1, 1, 2))
    start = int(v.rng.random() * (len(pool) - count + 1))
    return pool[start : start + count]


def run_static_analysis(s: Situation) -> Command:
    v = s.speaker
    args: dict[str, object] = {}
    said = {}
    names = s.fix.get("loads") or (load_names(s) if v.chance(0.45) else [])
    if names:
        args["load_names"] = names
        text = ("^과 " if v.chance(0.5) else ", ").join(names) if v.korean else " and ".join(names)
        said["loads"] = v.either(
            ch("{n}만|{n}^으로|{n}^으로만|{n}에 대해", val="{n} 하중으로", test="{n}만 골라서|{n} 조건으로"),
            ch("for {n}|with {n} only"),
        ).format(n=text)
    if v.chance(0.3) and s.fix.get("pdelta", True):
        args["p_delta"] = True
        said["pdelta"] = v.either(
            ch(
                "P-Delta 고려해서|P-Delta 포함해서|2차효과 고려해서",
                val="P-Δ 넣어서",
                test="피델타 고려해서|P-Delta 켜고",
            ),
            ch("with P-Delta|including P-Delta effects"),
        )
    return Command([("run_static_analysis", args)], said, STATIC_KO, STATIC_EN, {}, {"loads": names})


MODAL_KO = ch(
    "<modal>^을 [{modes} ]{!run}|<modal> [{modes} ]{!run}|[{modes} ]<modal> {!run}|<modal> {!run}[, {modes}]",
    val="모드 수는 [{modes}, ]<modal> {!run}",
    test="{!run}, [{modes} ]<modal>|<modal>^은 [{modes} ]{!run}|[{modes} ]구하는 <modal> {!run}",
)
MODAL_EN = ch(
    "{!run} a modal analysis[ {modes}]|{!run} <modal>[ {modes}]|{!run} an eigenvalue analysis[ {modes}]",
    val="next {!run} a modal analysis[ {modes}]",
    test="solve for the modes, <modal>[ {modes}]",
)


def run_modal_analysis(s: Situation) -> Command:
    v = s.speaker
    count = v.at((2, 3, 4, 5, 6, 8, 9, 10, 12, 15, 20))
    modes = v.either(
        ch(
            "{n}차까지|{n}차 모드까지|모드 {n}개로|{n}모드로|{k} 개 모드로",
            val="{n}개 모드만",
            test="{n}차 모드까지만|모드 수 {n}으로",
        ),
        ch("with {n} modes|for {n} modes|up to mode {n}", test="{n} modes"),
    )
    said = {"modes": modes.format(n=count, k=native(count))}
    calls = [("run_modal_analysis", {"num_modes": count})]
    return Command(calls, said, MODAL_KO, MODAL_EN, {"modes": ("number of modes", "")}, {"modes": count})


SPECTRUM_KO = ch(
    "[{dir} ]<spectrum>^을 [{site}^으로 ][{more}^으로 ]{!run}"
    "|[{site}, ][{more}^으로 ][{dir} ]<spectrum> {!run}"
    "|<spectrum> [{dir}^으로 ][{site} ][{more} ]{!run}"
    "|[{dir} ]<spectrum> {!run}[, {site}][, {more}]",
    val="[{site}에서 ][{dir} ]<spectrum> [{more}^으로 ]{!run}",
    test="{!run}, [{dir} ]<spectrum>[ {site}][ {more}]|[{site} 조건의 ][{dir} ]<spectrum>^을 [{more}^으로 ]{!run}",
)
SPECTRUM_EN = ch(
    "{!run} a response spectrum analysis[ in {dir}][ for {site}][ with {more}]"
    "|{!run} <spectrum>[ in {dir}][, {site}][, {more}]",
    val="{!run} the <spectrum>[ along {dir}][ on {site}][ using {more}]",
    test="[{site}, ][{dir} direction, ]{!run} <spectrum>[ with {more}]",
)


def run_response_spectrum(s: Situation) -> Command:
    v = s.speaker
    directions = ("X", "Y") if s.many > 1 else (v.at(("X", "Y")),)
    args: dict[str, object] = {"site_class": v.at(("S1", "S2", "S3", "S4", "S5"))}
    site = v.either(ch("지반 {c}|{c} 지반|지반종류 {c}", val="지반 {c}등급", test="지반분류 {c}"), "site class {c}")
    said = {"site": site.format(c=args["site_class"])}
    along = "X, Y방향" if s.many > 1 else ch("{d}방향|{d}방향|{d}축", test="{d}축 방향")
    said["dir"] = v.either(along, " and ".join(directions)).format(d=directions[0])
    more = []
    if v.chance(0.3):
        value = v.at((0.11, 0.14, 0.18, 0.2, 0.22))
        args["effective_ground_acceleration"] = value
        more.append(f"유효지반가속도 {value}g" if v.korean else f"ground acceleration {value}g")
    if v.chance(0.4):
        value = v.at((3, 4, 4.5, 5, 6, 8))
        args["response_modification"] = value
        more.append(v.either(ch("반응수정계수 {n}|R={n}", test="R값 {n}"), "R={n}").format(n=plain(value)))
    if v.chance(0.3):
        value = v.at((1.0, 1.2, 1.5))
        args["importance_factor"] = value
        more.append(f"중요도계수 {value}" if v.korean else f"importance factor {value}")
    if v.chance(0.25) and len(more) < 3:
        method = v.at(("CQC", "SRSS"))
        args["modal_combination"] = method
        more.append(method)
    if more:
        said["more"] = ", ".join(more)
    calls = [("run_response_spectrum_analysis", {"direction": d} | args) for d in directions]
    return Command(calls, said, SPECTRUM_KO, SPECTRUM_EN, {"dir": ("direction X or Y", ""), "site": ("site class", "")})
