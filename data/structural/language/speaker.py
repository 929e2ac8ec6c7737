"""How one speaker says things: which rules of the grammar they may use, and which of them they did use."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


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
class Speaker:
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

    def at(self, options: Sequence[T]) -> T:
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
        """One alternative that fits; held-out ones with probability `novelty` when this speaker may use them."""
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

    def either(self, korean: Choice | str, english: Choice | str) -> str:
        """An alternative of this speaker's language; a text has none and is said as it stands."""
        said = korean if self.korean else english
        return said if isinstance(said, str) else self.pick(said)
