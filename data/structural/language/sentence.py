"""A plan turned into a sentence.

A plan is a clause with its slots in order: `[{case} ][{node}에 ][{dir} ]{mag}^?을 {!add}`.
`[…]` is said only when its slots are known, `<word>` is drawn from the lexicon, `{!add}` is a verb of that class with
an ending, `^을` a particle that follows the spoken syllable before it (`^?을`: or none).
"""

import re

from data.structural.language.lexicon import word
from data.structural.language.particles import settle
from data.structural.language.speaker import Choice, Speaker
from data.structural.language.verbs import verb

_GROUP = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")
_WORD = re.compile(r"<(\w+)>")
_VERB = re.compile(r"\{!(\w+)\}")


def fits(plan: str, slots: dict[str, str], mode: str = "final") -> bool:
    """Whether a plan can say exactly these slots; a clause that is joined to another needs a verb."""
    if mode != "final" and not re.search(r"\{!\w+\}$", plan):
        return False
    named = _SLOT.findall(plan)
    if any(name not in named for name in slots):
        return False
    outside = _SLOT.findall(_GROUP.sub("", plan))
    if any(name not in slots for name in outside):
        return False
    partly = [[n in slots for n in _SLOT.findall(group)] for group in _GROUP.findall(plan)]
    return all(all(known) or not any(known) for known in partly)


def say(speaker: Speaker, plans: Choice, slots: dict[str, str], mode: str = "final") -> str:
    """One clause: a plan that fits, its slots, words and verb filled in, particles still marked."""
    plan = speaker.pick(plans, lambda p: fits(p, slots, mode), speaker.plan_novelty)
    owner = next((name for name in ("train", "val", "test") if plan in getattr(plans, name)), "train")
    speaker.plans.append(f"{owner}{getattr(plans, owner).index(plan)}")
    text = _GROUP.sub(lambda m: m.group(1) if all(n in slots for n in _SLOT.findall(m.group(1))) else "", plan)
    text = _SLOT.sub(lambda m: slots[m.group(1)], text)
    text = _WORD.sub(lambda m: word(speaker, m.group(1)), text)
    inverted = bool(re.search(r"\{!\w+\}\[?, ", plan))
    return _VERB.sub(lambda m: verb(speaker, m.group(1), "first" if inverted else mode), text)


def sentence(speaker: Speaker, korean: Choice, english: Choice, slots: dict[str, str]) -> str:
    """A sentence of one clause in this speaker's language, as typed."""
    return finish(speaker, say(speaker, korean if speaker.korean else english, slots))


def finish(speaker: Speaker, text: str) -> str:
    """The sentence as typed: particles written out, spaces single."""

    def slips() -> bool:
        return speaker.chance(0.5) and speaker.show("wrong_particle")

    text = settle(text, lambda: speaker.chance(0.5), slips if "wrong_particle" in speaker.want else None)
    text = re.sub(r"\s+([,.?!])", r"\1", re.sub(r" +", " ", text)).strip()
    text = text.replace("기준 기준", "기준")
    if speaker.lang == "en":
        text = re.sub(r"\b([Aa]) (?=[aeio]|H[ -]|8|1[18]\b)", r"\1n ", text)
    return text[:1].upper() + text[1:] if speaker.lang == "en" and speaker.chance(0.7) else text
