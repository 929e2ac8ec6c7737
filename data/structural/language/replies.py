"""What the assistant answers when no tool should be called: short, in the user's language, naming what is wrong."""

from data.structural.language.particles import settle
from data.structural.language.speaker import Speaker

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
# Two ways to say each thing: which of ten it would have been is nothing to learn, and was 40 % of the loss.
_ASK = ("{n}^을 알려주세요.", "{n}^이 필요합니다.")
_ASK_EN = ("Please give the {n}.", "I need the {n}.")
_WHETHER = ("{n} 알려주세요.", "{n} 확인해 주세요.")
_NONE = ("{n}^이 없습니다.", "{n}^은 모델에 없습니다.")
_NONE_EN = ("There is no {n}.", "The model has no {n}.")
_NO_SUPPORT = ("{n}^은 지점이 아닙니다.", "{n}^은 지점이 아니어서 반력이 없습니다.")
_NO_SUPPORT_EN = ("{n} is not a support.", "There is no support at {n}.")
_REFUSE = ("구조해석 작업만 도와드릴 수 있습니다.", "그 기능은 없습니다.")
_REFUSE_EN = ("I can only help with the structural model.", "That is not something I can do.")
_KNOWLEDGE = ("개념 설명은 제 일이 아닙니다.", "설명은 설계기준을 참고해 주세요.")
_KNOWLEDGE_EN = ("Please see the design code for that.", "I do not explain terms, I run the model.")
_WAIT = ("네, 기다리겠습니다.", "알겠습니다. 대기하겠습니다.")
_WAIT_EN = ("Okay, I will wait.", "Understood, nothing changed.")
_QUESTION = ("모델은 바꾸지 않았습니다. 실제로 실행할까요?", "실행은 하지 않았습니다. 진행할까요?")
_QUESTION_EN = ("Nothing changed yet. Shall I do it?", "The results would change. Shall I apply it?")
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


def ask(speaker: Speaker, what: str) -> str:
    """Ask back for a missing or unclear value."""
    korean, english = ASKED[what]
    if not speaker.korean:
        whether = english.startswith("whether")
        return OPENING + (f"Please tell me {english}." if whether else speaker.at(_ASK_EN).format(n=english))
    if korean.endswith("인지"):
        return OPENING + speaker.at(_WHETHER).format(n=korean)
    return OPENING + settle(speaker.at(_ASK).format(n=korean), lambda: True)


def reply(speaker: Speaker, kind: str, noun: str = "") -> str:
    """An answer of a kind (none, refuse, wait, question); `noun` is what does not exist."""
    korean, english = _KINDS[kind]
    if not speaker.korean:
        text = speaker.at(english).format(n=noun)
        return OPENING + text[0].upper() + text[1:]
    return OPENING + settle(speaker.at(korean).format(n=noun), lambda: True)
