"""How one speaker says things: which rules of the grammar they may use, and a text plan turned into a sentence.

A plan is a clause with its slots in order: `[{case} ][{node}에 ][{dir} ]{mag}^?을 {!add}`.
`[…]` is said only when its slots are known, `<word>` is drawn from the lexicon, `{!add}` is a verb of that class with
an ending, `^을` a particle that follows the spoken syllable before it (`^?을`: or none).
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from data.structural.particles import settle

_GROUP = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")
_WORD = re.compile(r"<(\w+)>")
_VERB = re.compile(r"\{!(\w+)\}")


@dataclass(frozen=True)
class Choice:
    """The alternatives at one point of the grammar, and which split may use them.

    `train` rules are everyone's; `val` and `test` rules appear in that split's held-out buckets only.
    """

    train: tuple[str, ...]
    val: tuple[str, ...] = ()
    test: tuple[str, ...] = ()


def ch(train: str, val: str = "", test: str = "") -> Choice:
    """A Choice from texts whose alternatives are separated by `|`."""
    return Choice(*(tuple(text.split("|")) if text else () for text in (train, val, test)))


@dataclass
class Voice:
    """One speaker of one row.

    Attributes:
        rng: the row's own source of randomness.
        lang: ko, mixed (Korean with English nouns) or en.
        pool: train, val or test: whose held-out rules may be used besides the common ones.
        novelty: how often a held-out rule is taken where one exists.
        plan_novelty: the same for whole plans, which are the easier novelty: known words in a new order.
        detail: how much likelier optional values are to be said.
        want: phenomena that the slots should show (correction, number_form, unit, parallel, …).
        shown: phenomena that they did show.
        held: held-out rules used so far.
        plans: the plans used so far, for the row's template_id.
    """

    rng: random.Random
    lang: str = "ko"
    pool: str = "train"
    novelty: float = 0.4
    plan_novelty: float = 0.75
    detail: float = 0.0
    want: tuple[str, ...] = ()
    shown: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    plans: list[str] = field(default_factory=list)

    def at(self, options: Sequence[Any]) -> Any:
        """One of the options, by index, so that every Python version draws the same one."""
        return options[int(self.rng.random() * len(options))]

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def show(self, phenomenon: str) -> bool:
        """True the first time that a wanted phenomenon can be shown; it is then noted as shown."""
        if phenomenon in self.want and phenomenon not in self.shown:
            self.shown.append(phenomenon)
            return True
        return False

    def pick(self, options: Choice, fits: Callable[[str], bool] | None = None, novelty: float = -1) -> str:
        """One alternative that fits; held-out ones with probability `novelty` when this voice may use them."""
        common = [o for o in options.train if fits is None or fits(o)]
        own = {"train": (), "val": options.val, "test": options.test}[self.pool]
        held = [o for o in own if fits is None or fits(o)]
        if held and (not common or self.chance(novelty if novelty >= 0 else self.novelty)):
            self.held.append(self.at(held))
            return self.held[-1]
        if not common:
            raise LookupError(f"no alternative fits: {options.train[:2]}")
        return self.at(common)

    @property
    def korean(self) -> bool:
        return self.lang != "en"


def fits(plan: str, slots: dict[str, str], mode: str = "final") -> bool:
    """Whether a plan can say exactly these slots; a clause that is joined to another needs a verb."""
    if mode != "final" and not plan.endswith("}"):
        return False
    named = _SLOT.findall(plan)
    if mode != "final" and "{!" not in plan[-10:]:
        return False
    if any(name not in named for name in slots):
        return False
    outside = _SLOT.findall(_GROUP.sub("", plan))
    if any(name not in slots for name in outside):
        return False
    partly = [[n in slots for n in _SLOT.findall(group)] for group in _GROUP.findall(plan)]
    return all(all(known) or not any(known) for known in partly)


def say(voice: Voice, plans: Choice, slots: dict[str, str], mode: str = "final") -> str:
    """One clause: a plan that fits, its slots, words and verb filled in, particles still marked."""
    from data.structural.lexicon import word
    from data.structural.verbs import verb

    plan = voice.pick(plans, lambda p: fits(p, slots, mode), voice.plan_novelty)
    owner = next((name for name in ("train", "val", "test") if plan in getattr(plans, name)), "train")
    voice.plans.append(f"{owner}{getattr(plans, owner).index(plan)}")
    text = _GROUP.sub(lambda m: m.group(1) if all(n in slots for n in _SLOT.findall(m.group(1))) else "", plan)
    text = _SLOT.sub(lambda m: slots[m.group(1)], text)
    text = _WORD.sub(lambda m: word(voice, m.group(1)), text)
    inverted = bool(re.search(r"\{!\w+\}\[?, ", plan))
    return _VERB.sub(lambda m: verb(voice, m.group(1), "first" if inverted else mode), text)


def finish(voice: Voice, text: str) -> str:
    """The sentence as typed: particles written out, spaces single."""
    wrong = None
    if "wrong_particle" in voice.want:
        wrong = lambda: voice.chance(0.5) and voice.show("wrong_particle")  # noqa: E731
    text = settle(text, lambda: voice.chance(0.5), wrong)
    text = re.sub(r"\s+([,.?!])", r"\1", re.sub(r" +", " ", text)).strip()
    text = text.replace("기준 기준", "기준")
    if voice.lang == "en":
        text = re.sub(r"\b([Aa]) (?=[aeio]|H[ -]|8|1[18]\b)", r"\1n ", text)
    return text[:1].upper() + text[1:] if voice.lang == "en" and voice.chance(0.7) else text
