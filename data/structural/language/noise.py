"""What real typing does to a request: slips, spacing, fillers, stray remarks. Never to a digit, unit or axis."""

import re

from data.structural.language.speaker import Speaker, ch

_SAFE = ch(
    "절점|부재|하중|추가|해석|방향|지점|단면|변위|반력|기둥|등분포하중|집중하중|모멘트|층간변위|하중조합|하중조건"
    "|재료|검토|바닥|결과|설정|삭제|조회|보여|알려|만들어"
).train
_INITIAL = {0: 1, 3: 4, 7: 8, 9: 10, 12: 14, 15: 0, 18: 11, 5: 6}  # a neighbouring or doubled key
_VOWEL = {0: 4, 4: 0, 1: 5, 5: 1, 8: 4, 13: 18, 20: 4, 6: 2, 9: 11}


def typo(speaker: Speaker, text: str) -> str:
    """One slip in one safe noun: a wrong initial or vowel."""
    found = [w for w in _SAFE if w in text]
    if not found:
        return text
    noun = speaker.at(found)
    place = int(speaker.rng.random() * len(noun))
    code = ord(noun[place]) - 0xAC00
    initial, vowel, final = code // 588, code % 588 // 28, code % 28
    if speaker.chance(0.5) and initial in _INITIAL:
        initial = _INITIAL[initial]
    else:
        vowel = _VOWEL.get(vowel, 4)
    slip = noun[:place] + chr(0xAC00 + initial * 588 + vowel * 28 + final) + noun[place + 1 :]
    if slip == noun or slip in _SAFE:
        return text
    speaker.shown.append("typo")
    return text.replace(noun, slip, 1)


def spacing(speaker: Speaker, text: str) -> str:
    """No spaces at all, or only some; never between two characters that are not Hangul, which would join numbers."""
    keep_some = speaker.chance(0.4)

    def join(match: re.Match[str]) -> str:
        before, after = text[match.start() - 1], text[match.end()] if match.end() < len(text) else " "
        hangul = "가" <= before <= "힣" or "가" <= after <= "힣"
        return "" if hangul and not (keep_some and speaker.chance(0.5)) else " "

    speaker.shown.append("spacing")
    return re.sub(r" ", join, text)


def full_width(speaker: Speaker, text: str) -> str:
    """Digits as a full-width keyboard types them."""
    speaker.shown.append("full_width")
    return re.sub(r"\d", lambda m: chr(ord(m.group()) + 0xFEE0), text)


_FILLER = ch(
    "혹시 |자, |그럼 |일단 |이제 |저기, |죄송한데 |음 ",
    val="아 참, |바쁘시겠지만 ",
    test="미안한데 |아 그리고 |가능하면 |번거롭겠지만 ",
)
_REMARK = ch(
    "도면 다시 보니까 |검토 의견 반영해서 |아까 얘기한 대로 |회의에서 정한 대로 "
    "|3월 회의 건인데, |도면 S-201 기준으로 |수정 도면 받았으니 "
    "|다른 건 됐고 |나머지는 나중에 하고 ",
    val="발주처 요청인데 |2차 검토 때문에 |A-102 도면 보고 있는데, ",
    test="소장님 말씀대로 |심의 지적사항이라 |급해서 그런데 |5월 심의 자료 만드는 중인데, ",
)
_EN_FILLER = ch("please |ok, |now |could you ", val="hey, |next, ", test="kindly |if possible, |right, ")
_EN_REMARK = ch(
    "as discussed, |per drawing S-201, |forget the rest, |after the review: ",
    test="the client asked for this: |for tomorrow's meeting, ",
)


def opening(speaker: Speaker, text: str) -> str:
    """A filler or a stray remark before the request."""
    if "distractor" in speaker.want:
        speaker.shown.append("distractor")
        head = speaker.either(_REMARK, _EN_REMARK)
    elif speaker.chance(0.1):
        head = speaker.either(_FILLER, _EN_FILLER)
        if head in ("could you ", "please ", "kindly ") and not re.match(
            r"(?i)(add|apply|put|set|show|get|run|perform|delete|move|create|make|check|export|undo|change)\b", text
        ):
            return text
    else:
        return text
    if speaker.lang == "en" and head[0].islower():
        text = text[0].lower() + text[1:] if text[1:2].islower() else text
        head = head[0].upper() + head[1:]
        if head == "Could you ":
            text = text.rstrip(".?") + "?"
    return head + text


def smudge(speaker: Speaker, text: str) -> str:
    """The sentence as it arrives: with the noise that this speaker wants."""
    text = opening(speaker, text)
    if speaker.korean:
        if "typo" in speaker.want:
            text = typo(speaker, text)
        if "spacing" in speaker.want and "number_form" not in speaker.shown:
            text = spacing(speaker, text)
        if "full_width" in speaker.want:
            text = full_width(speaker, text)
    if text[-1] not in ".?!" and speaker.chance(0.2):
        text += "."
    return text
