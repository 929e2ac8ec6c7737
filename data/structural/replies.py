"""What the assistant answers when no tool should be called: short, in the user's language, naming what is wrong."""

from data.structural.particles import settle
from data.structural.voice import Voice

# what is asked for: (Korean, English)
ASKED = {
    "node": ("절점 번호", "node number"),
    "member": ("부재 번호", "member number"),
    "direction": ("하중 방향(X, Y, Z)", "load direction (X, Y or Z)"),
    "axis": ("모멘트 축(X, Y, Z)", "moment axis (X, Y or Z)"),
    "load value": ("하중 크기", "load value"),
    "moment value": ("모멘트 크기", "moment value"),
    "line load value": ("분포하중 크기", "line load value"),
    "floor load value": ("바닥하중 크기", "floor load value"),
    "position": ("하중 위치", "load position"),
    "story": ("층 이름", "story name"),
    "coordinates": ("절점 좌표", "node coordinates"),
    "end nodes": ("양 끝 절점", "two end nodes"),
    "section": ("단면 이름", "section name"),
    "move distance": ("이동 거리와 방향", "distance and direction"),
    "support type": ("지점 종류(고정, 핀, 롤러)", "support type (fixed, pinned, roller)"),
    "release type": ("접합 조건(핀, 강접합)", "release type (pinned or fixed)"),
    "material grade": ("재료 규격", "material grade"),
    "section dimensions": ("단면 치수", "section dimensions"),
    "load case name": ("하중조건 이름", "load case name"),
    "load factors": ("하중계수", "load factors"),
    "design code": ("설계기준", "design code"),
    "number of modes": ("모드 수", "number of modes"),
    "direction X or Y": ("방향(X, Y)", "direction (X or Y)"),
    "site class": ("지반 종류(S1~S5)", "site class (S1 to S5)"),
    "export content": ("내보낼 항목", "items to export"),
    "file format": ("파일 형식", "file format"),
    "horizontal axis": ("수평방향(X, Y)", "horizontal direction (X or Y)"),
    "node or member": ("절점인지 부재인지", "whether it is a node or a member"),
    "which members": ("대상 부재 번호", "member numbers"),
    "which nodes": ("대상 절점 번호", "node numbers"),
}
_ASK = (
    "{n}^을 알려주세요.",
    "{n}^이 필요합니다.",
    "{n}^을 말씀해 주세요.",
    "{n}^이 빠졌습니다. 알려주세요.",
    "{n}^은 어떻게 할까요?",
    "{n}^을 정해 주세요.",
    "{n}^을 입력해 주세요.",
    "먼저 {n}^을 알려주세요.",
    "{n}^이 무엇인가요?",
    "{n}^을 지정해 주시겠어요?",
    "{n}^을 확인해 주세요.",
    "{n}^이 없어서 진행할 수 없습니다.",
)
_ASK_EN = (
    "Which {n}?",
    "Please give the {n}.",
    "What is the {n}?",
    "I need the {n}.",
    "The {n} is missing.",
    "Could you tell me the {n}?",
    "Please specify the {n}.",
    "Tell me the {n} first.",
    "I still need the {n}.",
    "What {n} should I use?",
)
_WHETHER = ("{n} 알려주세요.", "{n} 확인해 주세요.", "{n} 말씀해 주세요.", "{n} 분명하지 않습니다. 알려주세요.")
_NONE = (
    "{n}^이 없습니다.",
    "{n}^은 모델에 없습니다.",
    "{n}^은 존재하지 않습니다.",
    "{n}^을 찾을 수 없습니다.",
    "모델에 {n}^이 없습니다.",
    "{n}^은 없는 대상입니다.",
    "{n}^이 없어 실행할 수 없습니다.",
    "{n}^은 정의되지 않았습니다.",
    "없는 대상입니다: {n}.",
    "{n}^은 현재 모델에 없습니다.",
)
_NONE_EN = (
    "There is no {n}.",
    "{n} does not exist.",
    "{n} is not in the model.",
    "The model has no {n}.",
    "I cannot find {n}.",
    "{n} is not defined.",
    "No {n} in this model.",
    "{n} is unknown.",
    "{n} is missing from the model.",
    "{n} was not found.",
)
_NO_SUPPORT = (
    "{n}^은 지점이 아닙니다.",
    "{n}^은 지점이 아니어서 반력이 없습니다.",
    "{n}에는 지점이 없습니다.",
    "{n}^은 구속되지 않은 절점입니다.",
    "지점이 아닌 절점입니다: {n}.",
    "{n}에는 경계조건이 없습니다.",
    "{n}의 반력은 없습니다. 지점이 아닙니다.",
    "{n}^은 자유 절점이라 반력이 없습니다.",
    "반력은 지점에만 있습니다. {n}^은 아닙니다.",
    "{n}^은 지점 목록에 없습니다.",
)
_NO_SUPPORT_EN = (
    "{n} is not a support.",
    "There is no support at {n}.",
    "{n} is free, it has no reaction.",
    "{n} carries no reaction.",
    "No reaction there: {n} is not a support.",
    "{n} has no boundary condition.",
    "Only supports have reactions, {n} is none.",
    "{n} is not restrained.",
    "{n} is not among the supports.",
    "No support at {n}.",
)
_REFUSE = (
    "구조해석 작업만 도와드릴 수 있습니다.",
    "그 기능은 없습니다.",
    "제가 할 수 없는 일입니다.",
    "구조해석과 관련된 요청만 가능합니다.",
    "도와드릴 수 없는 요청입니다.",
    "그 작업은 지원하지 않습니다.",
    "구조 모델 작업만 할 수 있습니다.",
    "해당 기능은 제공하지 않습니다.",
    "그건 이 프로그램으로 할 수 없습니다.",
    "구조해석 외의 일은 어렵습니다.",
    "그 요청은 처리할 수 없습니다.",
)
_REFUSE_EN = (
    "I can only help with the structural model.",
    "That is not something I can do.",
    "This is outside the structural model.",
    "I cannot do that here.",
    "Sorry, only structural analysis.",
    "That feature does not exist here.",
    "I only work on the model.",
    "That is out of scope.",
    "No tool for that.",
    "I can help with the model only.",
)
_KNOWLEDGE = (
    "개념 설명은 제 일이 아닙니다.",
    "설명은 설계기준을 참고해 주세요.",
    "그 내용은 기준 해설서를 보세요.",
    "저는 모델 작업만 합니다. 기준을 참고하세요.",
    "그건 교재나 기준을 확인해 주세요.",
    "용어 설명 기능은 없습니다.",
    "설명 대신 해석을 도와드릴 수 있습니다.",
    "정확한 뜻은 설계기준을 보세요.",
    "질문에는 답하지 않고 작업만 합니다.",
    "용어는 설계기준 해설을 참고하세요.",
    "설명은 어렵지만 해석은 해 드릴게요.",
)
_KNOWLEDGE_EN = (
    "Please see the design code for that.",
    "I do not explain terms, I run the model.",
    "A textbook explains that better.",
    "I can run it, not explain it.",
    "The code commentary covers that.",
    "That is a question for the code.",
    "I only work on the model.",
    "No tool call is needed for that.",
    "Please check the design guide.",
    "I can help with the model, not theory.",
)
_WAIT = (
    "네, 기다리겠습니다.",
    "알겠습니다. 대기하겠습니다.",
    "네, 말씀하실 때까지 기다릴게요.",
    "알겠습니다. 아무것도 하지 않겠습니다.",
    "네, 보류하겠습니다.",
    "알겠습니다. 나중에 말씀해 주세요.",
    "네, 그대로 두겠습니다.",
    "네, 준비되면 말씀해 주세요.",
    "알겠습니다. 실행하지 않겠습니다.",
    "네, 멈춰 있겠습니다.",
)
_WAIT_EN = (
    "Okay, I will wait.",
    "Understood, nothing changed.",
    "Sure, tell me when.",
    "OK, on hold.",
    "Alright, waiting.",
    "Fine, I will do nothing.",
    "Okay, leaving it as is.",
    "Understood, on standby.",
    "No problem, take your time.",
    "OK, not running anything.",
)
_QUESTION = (
    "모델은 바꾸지 않았습니다. 실제로 실행할까요?",
    "실행은 하지 않았습니다. 진행할까요?",
    "질문으로 이해했습니다. 적용할까요?",
    "아직 적용하지 않았습니다. 할까요?",
    "그만큼 결과가 달라집니다. 실행할까요?",
    "실제로 반영해 볼까요?",
    "적용 전입니다. 진행해도 될까요?",
    "결과는 해석해야 압니다. 할까요?",
    "확인만 드립니다. 실행할까요?",
    "원하시면 지금 적용하겠습니다.",
)
_QUESTION_EN = (
    "Nothing changed yet. Shall I do it?",
    "The results would change. Shall I apply it?",
    "I took that as a question. Apply it?",
    "Not applied. Should I?",
    "We would have to run it. Shall I?",
    "I have not done it. Proceed?",
    "Just a question, or shall I apply it?",
    "It would change the model. Go ahead?",
    "Only an analysis can tell. Run it?",
    "Not yet done. Do you want it?",
)
_KINDS = {
    "knowledge": (_KNOWLEDGE, _KNOWLEDGE_EN),
    "refuse": (_REFUSE, _REFUSE_EN),
    "wait": (_WAIT, _WAIT_EN),
    "question": (_QUESTION, _QUESTION_EN),
    "none": (_NONE, _NONE_EN),
    "no support": (_NO_SUPPORT, _NO_SUPPORT_EN),
}


OPENING = "※ "
"""What every answer without a call begins with, in either language.

A call always begins with the same token. If answers without one began with any of some sixty (as they did), each would
be unlikely by itself, and greedy decoding would call even where a model is 80 % sure that no call is right.
"""


def ask(voice: Voice, what: str) -> str:
    """Ask back for a missing or unclear value."""
    korean, english = ASKED[what]
    if not voice.korean:
        whether = english.startswith("whether")
        return OPENING + (f"Please tell me {english}." if whether else voice.at(_ASK_EN).format(n=english))
    if korean.endswith("인지"):
        return OPENING + voice.at(_WHETHER).format(n=korean)
    return OPENING + settle(voice.at(_ASK).format(n=korean), lambda: True)


def reply(voice: Voice, kind: str, noun: str = "") -> str:
    """An answer of a kind (none, refuse, wait, question); `noun` is what does not exist."""
    korean, english = _KINDS[kind]
    if not voice.korean:
        text = voice.at(english).format(n=noun)
        return OPENING + text[0].upper() + text[1:]
    return OPENING + settle(voice.at(korean).format(n=noun), lambda: True)
