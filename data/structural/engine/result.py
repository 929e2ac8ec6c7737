"""What a call gives back: a small payload, or a refusal with a reason code."""

from dataclasses import dataclass, field
from typing import Any


class Refusal(ValueError):
    """A call that the model cannot carry out. `code` is stable; the text is Korean and English."""

    def __init__(self, code: str, ko: str, en: str) -> None:
        self.code = code
        super().__init__(f"{ko} / {en}")


def unstable(why: str = "") -> Refusal:
    """A frame that is a mechanism; `why` is what the solver said."""
    return Refusal("unstable_model", "구조물이 불안정합니다", f"the structure is unstable{f' ({why})' * bool(why)}")


@dataclass(frozen=True)
class CallResult:
    """The outcome of one call.

    Attributes:
        ok: whether the call was carried out.
        data: JSON data, as a program would answer: ids created, values asked for.
        error: Korean and English, empty when ok.
        code: the reason, e.g. "no_such_node", "position_out_of_range"; empty when ok.
    """

    ok: bool
    data: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    code: str = ""

    def to_dict(self) -> dict[str, Any]:
        """What a tool turn carries: `{"ok": true, …}` or `{"ok": false, "code": …, "error": …}`."""
        return {"ok": True, **self.data} if self.ok else {"ok": False, "code": self.code, "error": self.error}
