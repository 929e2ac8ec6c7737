"""Requests that no tool call answers: a value is missing or unclear, a thing does not exist, or it is no request."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from data.overlap import grams
from data.structural.language.quantities import write
from data.structural.language.replies import ask, reply
from data.structural.language.sentence import finish, sentence
from data.structural.language.speaker import ch
from data.structural.requests import phrases as say
from data.structural.requests.intents import INTENTS, by_weight
from data.structural.requests.intents.loads import FORCE_EN, FORCE_KO
from data.structural.requests.request import Call, Command, Request, Situation, Twin


def _unanswered(
    text: str,
    answer: str,
    concerns: list[str],
    template: str,
    refused: list[Call] | None = None,
    twin: Twin | None = None,
) -> Request:
    return Request(text, [], template, answer=answer, concerns=concerns, refused=refused or [], twin=twin)


def _twin(s: Situation, command: Command, text: str) -> Twin | None:
    """In training, a command that can be carried out in the words nearest to `text`, which cannot."""
    if s.split != "train":
        return None
    shown = [p for p in s.speaker.shown if p != "wrong_particle"]
    speakers = [replace(s.speaker, shown=[*shown, "twin"], plans=[]) for _ in range(16)]
    twins = [Twin(command.sentence(speaker), command.calls, speaker) for speaker in speakers]
    return max(twins, key=lambda t: len(grams(t.text) & grams(text)) / len(grams(t.text) | grams(text)))


def _any_command(s: Situation, fits: Callable[[Command], object]) -> Command:
    """A command of any tool that fits."""
    weights = {name: weight for name, (_, weight) in INTENTS.items() if weight}
    while True:
        command = INTENTS[by_weight(s.speaker.rng.random(), weights)][0](s)
        if fits(command):
            return command


def without(s: Situation, command: Command, slot: str) -> Command:
    """The command with one required slot unsaid."""
    left = {k: v for k, v in command.slots.items() if k != slot}
    if command.needs[slot][1]:
        left[slot] = command.needs[slot][1]
    return replace(command, slots=left)


def missing(s: Situation) -> Request:
    """A required value is left out."""
    v = s.speaker
    while True:
        command = _any_command(s, lambda a: a.needs)
        slot = v.at(sorted(command.needs))
        try:
            text = without(s, command, slot).sentence(v)
        except LookupError:
            continue
        if len(text) > 8:
            if s.about:
                text = re.sub(r" = (?!\d)", " ", text)  # `LCB5 = 1.2D+1.6L 만들어줘` without its factors
            answer = ask(v, command.needs[slot][0])
            return _unanswered(text, answer, [command.tool], "missing", twin=_twin(s, command, text))


_SIDEWAYS = ch("수평방향으로|수평으로|옆으로", val="횡방향으로", test="가로 방향으로|측면으로")
_SOME_NODES = ch(
    "위쪽 절점들에|끝에 있는 절점에|모서리 절점에|저 절점에", val="바깥쪽 절점들에", test="코너 쪽 절점들에|중간 절점에"
)
_SOME_MEMBERS = ch("가운데 기둥|저 보|긴 보들|바깥쪽 기둥", val="짧은 보들", test="안쪽 보 몇 개|모서리 기둥")
_DO_MEMBERS = ch(
    "지워줘|삭제해줘|단면 바꿔줘|핀접합으로 해줘|부재력 보여줘|휨모멘트 알려줘",
    val="강도 검토해줘",
    test="없애줘|단면 교체 부탁드립니다|축력 확인 부탁드립니다",
)
_DO_MEMBERS_EN = (
    ("Delete", "delete_entities"),
    ("Show the axial force in", "get_member_force"),
    ("Change the section of", "assign_section"),
)
_MEMBER_TOOLS = {
    "지워|삭제|없애": "delete_entities",
    "단면": "assign_section",
    "핀접합": "set_end_release",
    "부재력|휨|축력": "get_member_force",
    "강도": "check_member_design",
}


def ambiguous(s: Situation) -> Request:
    """Everything seems to be there, but one part can be read in two ways."""
    return s.speaker.at((_sideways, _sideways, _bare_number, _some_nodes, _some_members))(s)


def _sideways(s: Situation) -> Request:
    """수평방향으로 10kN: in a 3-D frame that is X or Y."""
    v = s.speaker
    way = v.either(_SIDEWAYS, ch("horizontally|sideways|in the horizontal direction"))
    said = {"node": say.ids(v, "node", s.some(s.model.free_nodes, 1)), "dir": way}
    said["mag"] = say.magnitude(v, s.amount("force"), 1, "load")
    text = sentence(v, FORCE_KO, FORCE_EN, said)
    return _unanswered(text, ask(v, "horizontal axis"), ["add_nodal_load"], "ambiguous")


def _bare_number(s: Situation) -> Request:
    """8번에 10kN: node 8 or member 8."""
    v = s.speaker
    said = {"n": str(v.at(s.model.free_nodes)), "m": write(v, s.amount("force"))}
    korean = ch(
        "{n}번에 {m} {!add}|{n}번에 {m} 하중을 {!add}|{m} 하중을 {n}번에 {!add}",
        val="{n}번 위에 {m} {!add}",
        test="{n}번에다가 {m} {!add}|{n}번은 {m} {!add}",
    )
    english = ch("{!add} {m} on {n}|{!add} {m} at {n}|{m} on {n}", test="{n} gets {m}")
    text = sentence(v, korean, english, said)
    return _unanswered(text, ask(v, "node or member"), ["add_nodal_load", "add_member_point_load"], "ambiguous")


def _some_nodes(s: Situation) -> Request:
    """위쪽 절점들에 X방향 10kN씩: which ones."""
    v = s.speaker
    axis, load = v.at(("X", "Y")), write(v, s.amount("force"))
    if v.korean:
        korean = ch("{where} {dir}^으로 {mag}씩 {!add}|{where} {dir} {mag} {!add}")
        said = {"where": v.pick(_SOME_NODES), "dir": f"{axis}방향", "mag": load}
        text = sentence(v, korean, korean, said)
    else:
        where = v.at(("the upper nodes", "the corner node", "some of the outer nodes"))
        text = finish(v, f"{v.at(('add', 'apply', 'put'))} {load} in {axis} at {where}")
    return _unanswered(text, ask(v, "which nodes"), ["add_nodal_load"], "ambiguous")


def _some_members(s: Situation) -> Request:
    """가운데 기둥 지워줘: which one."""
    v = s.speaker
    if v.korean:
        what = v.pick(_DO_MEMBERS)
        tool = next(tool for words, tool in _MEMBER_TOOLS.items() if re.search(words, what))
        text = f"{v.pick(_SOME_MEMBERS)} {what}"
    else:
        what, tool = v.at(_DO_MEMBERS_EN)
        text = f"{what} {v.at(('that column', 'the long beams', 'the middle column'))}"
    return _unanswered(finish(v, text), ask(v, "which members"), [tool], "ambiguous")


_OFF = {
    "refuse": (
        ch(
            "{when} {place} 날씨 어때?|{when} 점심 메뉴 추천해줘|{when} 회의실 예약해줘"
            "|{when} 회의록 메일로 보내줘|이 건물 공사비 견적 내줘|노래 한 곡 틀어줘"
            "|{place} 가는 길 알려줘"
            "|{when} 일정 알려줘|도면 PDF를 번역해줘|철근 물량 뽑아줘|{place} 맛집 알려줘|영어로 번역해줘"
            "|주가 좀 알려줘|농담 하나 해줘|엑셀 함수 설명해줘|택시 불러줘",
            val="{when} 환율 알려줘|계약서 검토해줘|{place} 호텔 찾아줘|발주처에 전화해줘|공정표 작성해줘"
            "|{when} 뉴스 요약해줘|렌더링 이미지 만들어줘|{place}까지 얼마나 걸려?",
            test="{when} 비 와?|저녁 뭐 먹을까?|{place} 출장 기차표 끊어줘|감리 보고서 대신 써줘"
            "|내역서 단가 조사 부탁드립니다|메일 답장 좀 써줘|조감도 그려줄 수 있어?"
            "|{place} 미세먼지 확인해줘"
            "|휴가 신청서 올려줘|시공사 연락처 찾아줘|인허가 서류 준비해 주실 수 있을까요?",
        ),
        ch(
            "what's the weather in {place} {when}?|book a meeting room {when}"
            "|recommend a lunch place in {place}|translate this report|estimate the construction cost"
            "|call the contractor {when}|play some music",
            val="summarise the news {when}|find a hotel in {place}",
            test="order a taxi to {place} {when}|write my vacation request|who won the game {when}?"
            "|draft a reply to the client",
        ),
    ),
    "wait": (
        ch(
            "아직 아무것도 하지 마|잠깐 기다려줘|일단 멈춰, {reason}|해석은 아직 돌리지 마"
            "|지금은 건드리지 마, {reason}|하중은 내가 말할 때까지 넣지 마|저장하지 말고 기다려"
            "|{reason}, 아직 하지 마|{reason}, 그대로 둬",
            val="조금만 보류하자, {reason}|아직 실행하면 안 돼, {reason}|{reason}, 일단 스톱",
            test="손대지 말고 있어 봐, {reason}|아직은 진행하지 말아 주세요, {reason}|{reason}, 잠시 대기"
            "|지금 말고 이따가 하자|{reason}, 실행은 미루자",
        ),
        ch(
            "don't run anything yet|wait, {reason}|hold on, {reason}"
            "|leave the model as it is for now, {reason}|not yet, {reason}",
            test="hang on before you change anything, {reason}|nothing for now, {reason}",
        ),
    ),
    "question": (
        ch(
            "{term} 뭐야?|{term} 무슨 뜻이야?|{term} 설명해줘|{term} 언제 쓰는 거야?|{term} 왜 필요해?",
            val="{term} 어떤 개념인가요?|{term} 쉽게 말해줘",
            test="{term} 정확히 뭘 말하는 건가요?|{term} 어떨 때 고려하나요?|{term} 처음 듣는데 뭔가요?",
        ),
        ch(
            "what is {term}?|explain {term}|when do we need {term}?",
            test="what does {term} actually mean?|why would anyone use {term}?",
        ),
    ),
}
_FILL = {
    "when": (ch("오늘|내일|이번 주|모레|다음 주"), ch("today|tomorrow|this week|on Friday")),
    "place": (
        ch("서울|부산|대전|인천|광주", val="세종|제주", test="울산|수원|강릉"),
        ch("Seoul|Busan|Incheon", test="Daegu|Jeju"),
    ),
    "reason": (
        ch(
            "생각 좀 할게|도면 확인 중이야|검토하고 있어|아직 결정 안 났어|확인할 게 있어",
            val="회의 중이야|고민 중이야",
            test="발주처 답을 기다리는 중이야|도면이 바뀔 것 같아|소장님 확인부터 받을게",
        ),
        ch(
            "I am still thinking|I need to check the drawing|let me review first",
            test="the architect may change it|I'm waiting for an answer",
        ),
    ),
    "term": (
        ch(
            "P-Delta가|층간변위가|응답스펙트럼이|고유주기가|반응수정계수가|KDS 41이|유효질량이|강축이|하중조합이",
            val="중요도계수가|모드형상이|이방향 슬래브가",
            test="질량참여율이|지반분류가|횡강성이|전단중심이|비틀림 비정형이",
        ),
        ch(
            "P-Delta|story drift|a response spectrum|the fundamental period|KDS 41",
            test="mass participation|the shear center|a soft story",
        ),
    ),
}
_WHAT_IF = ch(
    "어떻게 돼?|어떤 의미가 있어?|위험해?|변위가 커져?|문제 있어?",
    val="결과가 많이 달라져?|괜찮을까?",
    test="어떤 영향이 있을까요?|무슨 차이가 나나요?|안전할까요?",
)


def irrelevant(s: Situation) -> Request:
    """Not a job for the tools: small talk, a feature that is not there, a question, or a plea to wait."""
    v = s.speaker
    kind = v.at(("refuse", "refuse", "refuse", "wait", "question", "question", "what if", "what if"))
    if kind == "what if" and v.korean:
        command = _any_command(s, lambda a: a.tool.startswith(("add_", "set_", "assign", "move", "delete")))
        try:
            text = finish(v, command.clause(v, "if") + " " + v.pick(_WHAT_IF))
        except LookupError:
            return irrelevant(s)
        return _unanswered(text, reply(v, "question"), [command.tool], "irrelevant")
    kind = "question" if kind == "what if" else kind
    text = v.either(*_OFF[kind])
    for name in sorted(_FILL):
        if "{" + name + "}" in text:
            text = text.replace("{" + name + "}", v.either(*_FILL[name]))
    answers = {"question": "knowledge"}
    return _unanswered(finish(v, text), reply(v, answers.get(kind, kind)), [], "irrelevant")


# What may be wrong: the tools that are asked for it, and what the reply calls it.
_STRANGE: dict[str, tuple[tuple[str, ...], str, str]] = {
    "node": (("add_nodal_load", "add_nodal_load", "get_displacement", "move_node"), "절점 {}번", "node {}"),
    "member": (
        (*["add_member_distributed_load"] * 2, "check_member_design", "get_member_force"),
        "부재 {}번",
        "member {}",
    ),
    "story": (("add_floor_load", "add_floor_load", "get_story_drift"), "{}층", "story {}"),
    "case": (
        ("add_nodal_load", "add_member_distributed_load", "add_floor_load", "add_self_weight"),
        "하중조건 {}",
        "load case {}",
    ),
    "load": (
        ("get_displacement", "get_reaction", "get_member_force", "show_diagram", "get_story_drift"),
        "조합 {}",
        "combination {}",
    ),
    "section": (("assign_section",), "단면 {}", "section {}"),
    "reaction": (("get_reaction",), "절점 {}번", "node {}"),
}


def _strange(s: Situation, kind: str) -> tuple[Any, Situation]:
    """A thing that the model does not have (of a reaction: None), and the situation in which it is spoken of."""
    v, m = s.speaker, s.model
    far = v.at((3, 7, 12, 20, 35, 50, 74))
    bad: Any = None
    if kind == "node":
        bad = m.nodes[-1] + far
        s.fix["nodes"], s.fix["node"] = [bad], bad
    elif kind == "member":  # all numbers lie beyond the model, so that any member drawn is a wrong one
        bad = m.members[-1] + far
        return bad, Situation(replace(m, spec=replace(m.spec, first_member=bad)), s.split, v, 1, s.fix)
    elif kind == "story":
        bad = v.at([n for n in ("3F", "4F", "5F", "6F", "7F") if n not in m.stories])
        return bad, Situation(replace(m, stories=(bad,)), s.split, v)
    elif kind == "case":
        bad = s.fix["case"] = v.at([n for n in ("TL", "RL", "WZ", "EZ", "CR", "SH") if n not in m.cases])
    elif kind == "load":
        bad = s.fix["load"] = f"LCB{v.at((11, 15, 21, 30, 42))}"
    elif kind == "section":
        others = ("H-900x300x16x28", "RC-800x1000", "H-148x100x6x9", "RC-250x400")
        bad = s.fix["section"] = v.at([n for n in others if n not in m.spec.sections])
    else:
        v.at(m.free_nodes)  # a draw that the rows of validation and test were made with
        return bad, Situation(replace(m, spec=replace(m.spec, first_node=m.spec.first_node + m.per_level)), s.split, v)
    return bad, s


def invalid(s: Situation) -> Request:
    """A node, member, story, load case or section that the model does not have, or a reaction at no support."""
    v, m = s.speaker, s.model
    kind = v.at(("node", "node", "member", "member", "story", "case", "load", "section", "reaction"))
    bad, situation = _strange(s, kind)
    tools, korean, english = _STRANGE[kind]
    command = INTENTS[v.at(tools) if len(tools) > 1 else tools[0]][0](situation)
    args, case = command.calls[0][1], command.slots.get("case", "")
    if kind == "member":
        bad = args.get("member_id") or args.get("member_ids", [0])[0]
    elif kind == "reaction":
        bad = args.get("node_id")
    unsaid = {
        "story": str(bad) not in str(command.calls),
        "case": "조건에" in case and str(bad) not in case,
        "load": args.get("diagram") == "mode_shape",
    }
    if not bad or unsaid.get(kind):
        return invalid(s)
    noun = v.either(korean, english).format(bad.removesuffix("F") if kind == "story" and v.korean else bad)
    answer = reply(v, "no support" if kind == "reaction" else "none", noun)
    text = command.sentence(v)
    there: dict[str, Sequence[Any]] = {
        "node": m.free_nodes,
        "member": m.beams,
        "story": m.stories,
        "case": m.cases,
        "load": list(m.spec.combos),
        "section": m.spec.sections,
        "reaction": m.supports,
    }
    right = _with(s, command, bad, there[kind]) if s.split == "train" else None
    twin = _twin(s, right, text) if right else None
    return _unanswered(text, answer, [command.tool], "invalid", command.calls, twin)


def _with(s: Situation, command: Command, bad: Any, there: Sequence[Any]) -> Command | None:
    """The command with a thing that is there for the bad one; None unless its words name that just once."""

    def named(what: Any) -> re.Pattern[str]:
        return re.compile(rf"(?<![0-9A-Za-z.]){re.escape(str(what))}(?![0-9A-Za-z.])")

    def put(value: Any) -> Any:
        return [put(x) for x in value] if isinstance(value, list) else good if value == bad else value

    said = " / ".join(command.slots.values())
    others = [what for what in there if not named(what).search(said)]
    if not others or len(named(bad).findall(said)) != 1:
        return None
    good = s.speaker.at(others)
    calls = [(name, {key: put(value) for key, value in arguments.items()}) for name, arguments in command.calls]
    return replace(
        command, calls=calls, slots={k: named(bad).sub(str(good), text) for k, text in command.slots.items()}
    )


KINDS = {"missing": missing, "ambiguous": ambiguous, "irrelevant": irrelevant, "invalid": invalid}
