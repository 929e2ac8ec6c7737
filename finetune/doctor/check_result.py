"""One line of the doctor's report."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tooltune.words import Language, speaker

State = Literal["fine", "note", "warning", "fault"]
Group = Literal["card", "libraries", "machine"]


WORDS = Path(__file__).with_name("words.yaml")
say = speaker(WORDS)


@dataclass(frozen=True)
class CheckResult:
    """What one check found.

    Attributes:
        check: a short fixed name, for scripts and tests.
        state: fine; note: worth knowing, nothing to mend; warning: training works, but worse than it could or only
            perhaps; fault: training will not work.
        case: what is the case, a key of `words.yaml`.
        facts: the figures and names in it.
        fix: what to do, a key of `words.yaml`; empty where nothing is to be done.
    """

    group: Group
    check: str
    state: State
    case: str
    facts: Mapping[str, Any]
    fix: str

    def says(self, lang: Language) -> str:
        return say(self.case, **self.facts).text(lang)

    def mend(self, lang: Language) -> str:
        """What to do about it; empty where nothing is to be done."""
        return say(self.fix).text(lang) if self.fix else ""


def found(group: Group, check: str, state: State, case: str, fix: str = "", **facts: Any) -> CheckResult:
    return CheckResult(group, check, state, case, facts, fix)
