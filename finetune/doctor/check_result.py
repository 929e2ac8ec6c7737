"""One line of the doctor's report, in both languages."""

from dataclasses import dataclass
from typing import Literal

State = Literal["fine", "note", "warning", "fault"]
Language = Literal["en", "ko"]
Group = Literal["card", "libraries", "machine"]


@dataclass(frozen=True)
class Text:
    """The same sentence twice."""

    en: str
    ko: str

    def __call__(self, language: Language) -> str:
        return self.ko if language == "ko" else self.en


NOTHING = Text("", "")


@dataclass(frozen=True)
class CheckResult:
    """What one check found.

    Attributes:
        check: a short fixed name, for scripts and tests.
        state: fine; note: worth knowing, nothing to mend; warning: training works, but worse than it could or only
            perhaps; fault: training will not work.
        says: what is the case, with its figures.
        mend: what to do; empty where nothing is to be done.
    """

    group: Group
    check: str
    state: State
    says: Text
    mend: Text = NOTHING
