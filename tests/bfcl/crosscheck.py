"""Both scorers on the same outputs; every disagreement gets the rule that explains it.

A rule is a change to the output, or to what is counted as right, under which the two verdicts meet: texts folded, 5.0
written as 5, a default left out. A disagreement belongs to the first rule (alone, else with a second) that makes them
meet; one that no rule explains is a fault of one scorer that nobody knows of, and the check fails.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import combinations

from tests.bfcl.checker import Bfcl
from tests.bfcl.corruptions import outputs
from tests.bfcl.items import Item
from tests.bfcl.rules import BFCL_ACCEPTS, NO_ANSWER, OURS_ACCEPTS, Case, counts_as_right, no_answer_accepted


@dataclass
class Crosscheck:
    """What the check found.

    Attributes:
        outputs: way → outputs compared.
        both_right, both_wrong: way → of those, outputs with the same verdict.
        explained: (rule, whether BFCL is the one that accepts) → way → outputs.
        unexplained: (question, way, BFCL's verdict, its word for the fault, output).
    """

    outputs: Counter[str] = field(default_factory=Counter)
    both_right: Counter[str] = field(default_factory=Counter)
    both_wrong: Counter[str] = field(default_factory=Counter)
    explained: dict[tuple[str, bool], Counter[str]] = field(default_factory=dict)
    unexplained: list[tuple[str, str, bool, str, str]] = field(default_factory=list)


def crosscheck(bfcl: Bfcl, items: Iterable[Item], tick: Callable[[], None] = lambda: None) -> Crosscheck:
    """Compare the verdicts on every output of every question; `tick` is told after each question."""
    found = Crosscheck()
    for turn, item in enumerate(items):
        for way, text in outputs(item, turn).items():
            theirs, word = bfcl.verdict(item, text)
            ours = counts_as_right(item, text)
            found.outputs[way] += 1
            found.both_right[way] += theirs and ours
            found.both_wrong[way] += not (theirs or ours)
            if theirs != ours:
                rule = explain(Case(bfcl, item, text), bfcl_accepts=theirs)
                if rule is None:
                    found.unexplained.append((item.id, way, theirs, word, text))
                else:
                    found.explained.setdefault((rule, theirs), Counter())[way] += 1
        tick()
    return found


def explain(case: Case, *, bfcl_accepts: bool) -> str | None:
    """The rule, or two joined by " + ", under which the verdicts meet."""
    rules = BFCL_ACCEPTS if bfcl_accepts else OURS_ACCEPTS
    for number in (1, 2):
        for chosen in combinations(rules, number):
            if case.meets([rules[name] for name in chosen], bfcl_accepts):
                return " + ".join(chosen)
    return NO_ANSWER if not bfcl_accepts and no_answer_accepted(case) else None
