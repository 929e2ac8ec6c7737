"""The nouns of the domain in three ways of speaking, with the synonyms that each split may use."""

from data.structural.language.speaker import Choice, Speaker, ch

# name: (Korean, the English noun that a code-switching speaker drops in, English)
WORDS: dict[str, tuple[Choice, Choice, Choice]] = {
    "node": (ch("절점|절점|절점|노드", val="격점", test="조인트"), ch("node|node|joint"), ch("node", test="joint")),
    "member": (ch("부재|부재|부재", val="엘리먼트", test="요소"), ch("member|element"), ch("member|member|element")),
    "beam": (ch("보|보|부재"), ch("beam|member"), ch("beam|member", test="girder")),
    "column": (ch("기둥|기둥|부재"), ch("column|member"), ch("column|member")),
    "load": (ch("하중|하중|집중하중", val="점하중", test="외력"), ch("load|point load"), ch("load|force|point load")),
    "point": (
        ch("집중하중|집중하중|점하중", val="포인트 하중", test="집중력"),
        ch("point load"),
        ch("point load|concentrated load"),
    ),
    "line": (
        ch("등분포하중|등분포하중|등분포|분포하중", val="선하중", test="균등하중|균등분포하중"),
        ch("uniform load|distributed load"),
        ch("uniform load|distributed load|UDL", val="line load", test="uniformly distributed load"),
    ),
    "moment": (ch("모멘트|모멘트|집중모멘트", val="휨모멘트", test="절점모멘트"), ch("moment"), ch("moment")),
    "floorload": (
        ch("바닥하중|면하중|하중", val="층하중", test="슬래브 하중"),
        ch("floor load|area load"),
        ch("floor load|area load"),
    ),
    "selfweight": (
        ch("자중|자중|부재 자중", val="자체하중", test="구조체 자중|골조 자중"),
        ch("self-weight|self weight"),
        ch("self-weight|self weight", test="member weight"),
    ),
    "case": (
        ch("하중조건|하중조건|하중케이스|케이스|조건", val="정적하중", test="로드케이스|하중 케이스"),
        ch("load case|case"),
        ch("load case|case"),
    ),
    "combo": (
        ch("하중조합|하중조합|조합|하중 조합", val="콤비네이션", test="콤보|로드콤보"),
        ch("load combo|load combination|combo"),
        ch("load combination|combination|combo"),
    ),
    "section": (
        ch("단면|단면|섹션", val="사이즈", test="부재단면"),
        ch("section"),
        ch("section", test="cross-section"),
    ),
    "material": (ch("재료|재료|재질", val="물성", test="자재"), ch("material"), ch("material")),
    "support": (
        ch("경계조건|지점조건|지점", val="지지조건", test="구속조건|지지점"),
        ch("support|boundary condition"),
        ch("support|supports|boundary condition"),
    ),
    "release": (ch("접합|단부|연결부", val="이음", test="접합부"), ch("end|connection"), ch("end|connection")),
    "static": (
        ch("정적해석|정적해석|정적 해석|해석|선형해석", val="선형 정적해석", test="스태틱 해석|구조해석"),
        ch("static analysis|linear analysis"),
        ch("static analysis|linear static analysis|analysis", test="static solve"),
    ),
    "modal": (
        ch("고유치해석|고유치해석|모드해석|고유치 해석", val="고유값해석", test="고유진동해석|모달해석"),
        ch("modal analysis|eigenvalue analysis"),
        ch("modal analysis|eigenvalue analysis", test="eigen analysis"),
    ),
    "spectrum": (
        ch(
            "응답스펙트럼해석|응답스펙트럼해석|응답스펙트럼 해석|스펙트럼해석",
            val="RS해석",
            test="지진 스펙트럼해석|스펙트럼 해석",
        ),
        ch("response spectrum analysis|RS analysis"),
        ch("response spectrum analysis|spectrum analysis", test="RSA"),
    ),
    "displacement": (
        ch("변위|변위", val="변위량", test="변위 값"),
        ch("displacement"),
        ch("displacement", test="movement"),
    ),
    "reaction": (
        ch("반력|반력|지점반력", val="지지반력", test="지점 반력"),
        ch("reaction"),
        ch("reaction", test="support reaction"),
    ),
    "drift": (
        ch("층간변위|층간변위|층간 변위", val="층변위", test="스토리 드리프트|층간 드리프트"),
        ch("story drift|drift"),
        ch("story drift|drift", test="interstory drift"),
    ),
    "result": (ch("결과|해석 결과|해석결과", test="결과값"), ch("result|결과"), ch("results")),
}
_COLUMN = {"ko": 0, "mixed": 1, "en": 2}


def word(speaker: Speaker, name: str) -> str:
    """One noun for a concept; a code-switching speaker uses the English one two times in three."""
    column = _COLUMN[speaker.lang]
    if speaker.lang == "mixed" and speaker.chance(0.34):
        column = 0
    return speaker.pick(WORDS[name][column])
