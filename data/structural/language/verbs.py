"""Verbs and their endings. A Korean verb is a stem, its 아/어 form and, for 하다 verbs, its noun."""

from dataclasses import dataclass

from data.structural.language.speaker import Choice, Speaker, ch


@dataclass(frozen=True)
class Verb:
    stem: str
    a: str
    noun: str = ""

    @property
    def past(self) -> str:
        """추가한, 넣은, 만든: the form before 다음/뒤."""
        return _close(self.stem, 4, "은")

    @property
    def future(self) -> str:
        """추가할, 넣을, 만들: the form before 것."""
        return _close(self.stem, 8, "을")


def _unfit(ending: str) -> bool:
    """Endings that do not stand before the rest of an inverted sentence."""
    return ending.startswith("{n}") or ending.endswith("?") or "{f}" in ending


def _closes_softly(stem: str) -> bool:
    """Whether a stem ends in a vowel or ㄹ, so that no 으 comes between."""
    return (ord(stem[-1]) - 0xAC00) % 28 in (0, 8)


def _close(stem: str, final: int, after_consonant: str) -> str:
    if _closes_softly(stem):  # a final ㄹ gives way
        return stem[:-1] + chr(ord(stem[-1]) - (ord(stem[-1]) - 0xAC00) % 28 + final)
    return stem + after_consonant


# 하다 verbs by their noun; then stems with their 아/어 form, and those whose name here is not their stem.
_HADA = (
    "추가|입력|적용|재하|부여|설정|지정|변경|수정|삭제|제거|등록|정의|생성|작성|수행|실행|계산|조회|확인|출력|표시"
    "|검토|체크|판정|저장|이동|배치|교체|취소|진행|구성|가력|산출|세팅|점검|평가|작도|구속|설치|포함|고려|반영|편성"
    "|연결|add|apply|run|show|check|export|define|set|delete|move|assign|create|display|get|change"
)
_STEMS = (
    "넣 넣어|걸 걸어|주 줘|올리 올려|가하 가해|싣 실어|얹 얹어|바꾸 바꿔|만들 만들어|돌리 돌려|지우 지워|없애 없애"
    "|뽑 뽑아|띄우 띄워|그리 그려|옮기 옮겨|찍 찍어|잇 이어|세우 세워|내보내 내보내|내리 내려|되돌리 되돌려"
    "|무르 물러|하 해|잡 잡아|두 둬|풀 풀어|보 봐|따지 따져|읽 읽어|꺼내 꺼내|날리 날려|밀 밀어|갈 갈아|붙이 붙여"
    "|태우 태워"
)
VERBS: dict[str, Verb] = {
    **{noun: Verb(noun + "하", noun + "해", noun) for noun in _HADA.split("|")},
    **{stem: Verb(stem, a) for stem, a in (pair.split(" ") for pair in _STEMS.split("|"))},
    "작용": Verb("작용시키", "작용시켜"),
    "보이": Verb("보여주", "보여"),
    "알리": Verb("알려주", "알려"),
    "만들어두": Verb("만들어 두", "만들어 둬"),
}

CLASSES: dict[str, Choice] = {
    "add": ch("추가|추가|넣|걸|주|재하|작용|입력|적용", val="올리|부여", test="가하|싣|얹"),
    "put": ch("추가|추가|넣|입력|만들|생성", val="배치", test="찍|두"),
    "include": ch("추가|넣|포함|적용|고려", val="반영", test="태우|부여"),
    "join": ch("추가|추가|넣|만들|생성", val="연결", test="잇|배치"),
    "set": ch("설정|지정|바꾸|변경|하", val="수정", test="잡|두"),
    "release": ch("설정|바꾸|변경|하|지정", val="수정", test="두|잡"),
    "change": ch("바꾸|변경|적용|수정", val="교체", test="갈|지정"),
    "define": ch("등록|추가|정의|만들", val="생성", test="작성|세팅"),
    "make": ch("만들|추가|생성|등록", val="정의", test="작성|편성"),
    "delete": ch("삭제|삭제|지우|제거", val="없애", test="날리"),
    "move": ch("옮기|이동", val="밀", test="변경"),
    "run": ch("수행|실행|돌리|하", val="진행", test="계산"),
    "query": ch("보이|알리|조회|확인|뽑", val="출력", test="읽|꺼내"),
    "check": ch("검토|검토|체크|판정", val="보", test="평가|따지"),
    "show": ch("보이|띄우|표시|그리", val="출력", test="작도|찍"),
    "export": ch("저장|내보내|뽑", val="출력", test="내리|꺼내"),
    "undo": ch("되돌리|취소", val="무르", test="없애"),
}
MIXED = {
    "add": "add|apply|추가|넣",
    "put": "add|추가",
    "include": "add|추가",
    "join": "add|추가",
    "set": "set|change|바꾸",
    "release": "set|바꾸",
    "change": "assign|change|바꾸",
    "define": "define|add|등록",
    "make": "create|만들",
    "delete": "delete|삭제",
    "move": "move|옮기",
    "run": "run|돌리|실행",
    "query": "보이|알리|조회",
    "check": "check|검토",
    "show": "show|display|띄우",
    "export": "export|저장",
    "undo": "되돌리",
}
ENGLISH: dict[str, Choice] = {
    "add": ch("add|apply|put", val="place", test="assign|insert"),
    "put": ch("add|create|put", val="insert", test="place"),
    "include": ch("add|include", val="apply", test="put in"),
    "join": ch("add|create", val="insert", test="place"),
    "set": ch("set|make", val="change", test="assign"),
    "release": ch("set|make", val="change", test="turn"),
    "change": ch("change|set|switch", val="update", test="swap"),
    "define": ch("define|add|register", val="create", test="set up"),
    "make": ch("create|make|add", val="define", test="set up"),
    "delete": ch("delete|remove", val="erase", test="get rid of"),
    "move": ch("move|shift", val="displace", test="relocate"),
    "run": ch("run|perform|do", val="execute", test="carry out"),
    "query": ch("show|get|give me|report", val="list", test="tell me|look up"),
    "check": ch("check|verify", val="review", test="evaluate"),
    "show": ch("show|display|plot", val="draw", test="bring up"),
    "export": ch("export|save", val="write", test="dump"),
    "undo": ch("undo|revert", val="roll back", test="take back"),
}

# {a} 추가해/넣어, {n} 추가 (하다 verbs only), {f} 추가할/넣을.
ENDINGS = ch(
    "{a}줘|{a}줘|{a}줘|{a} 줘|{a} 주세요|{a}주세요|{a}줘요|{a}줄래?|{a}라|{a} 주십시오|{n}|{n}"
    "|{n} 부탁해|{n} 좀 {ha}줘",
    val="{a} 주시겠어요?|{n} 바랍니다|{a}주라|{a}주면 좋겠어",
    test="{a} 주실 수 있을까요?|{n} 부탁드립니다|{a}줬으면 해|{f} 것|{a}주시면 됩니다|{n} 요망",
)
JOINTS = ch("{go}|{go}|{p} 다음|{p} 다음에|{p} 뒤", val="{go} 나서|{p} 후에", test="{p} 뒤에|{go} 이어서|{p} 다음엔")


def verb(speaker: Speaker, kind: str, mode: str) -> str:
    """A verb of a class with a final ending, or (mode `and`, `if`) with one that joins the next clause."""
    if speaker.lang == "en":
        return speaker.pick(ENGLISH[kind])
    options = ch(MIXED[kind]) if speaker.lang == "mixed" else CLASSES[kind]
    chosen = VERBS[speaker.pick(options)]
    if mode == "if":
        return chosen.stem + ("면" if _closes_softly(chosen.stem) else "으면")
    if mode == "and":
        return speaker.pick(JOINTS).format(go=chosen.stem + "고", p=chosen.past)
    ending = speaker.pick(
        ENDINGS, lambda e: (bool(chosen.noun) or "{n}" not in e) and not (mode == "first" and _unfit(e))
    )
    if chosen.a in ("줘", "둬", "봐") and ending.startswith("{a}"):
        ending = {"줘": "주세요" if "주세요" in ending or "주십" in ending else "줘", "둬": ending, "봐": ending}[
            chosen.a
        ]
    if chosen.a.isascii() or chosen.a[0].isascii():
        ending = (
            ending.replace("{a}", "{n} 해").replace("{f}", "{n} 할") if "{a}" in ending or "{f}" in ending else ending
        )
    return ending.format(a=chosen.a, n=chosen.noun, f=chosen.future, ha="해" if chosen.noun else "")
