"""What the packages share, and the public face.

    from tooltune import Model, Record, Run, load_records, parse_tool_calls, score

Names of higher packages are imported when they are first asked for: `import tooltune` itself loads nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data.load import load_records
    from data.record import Record
    from data.render import render
    from eval.asking import Model
    from eval.parse import parse_tool_calls
    from eval.scoring import score
    from tooltune.config import Config
    from tooltune.run import Run

__all__ = ["Config", "Model", "Record", "Run", "load_records", "parse_tool_calls", "render", "score"]

_HOMES = {
    "Config": "tooltune.config",
    "Model": "eval.asking",
    "Record": "data.record",
    "Run": "tooltune.run",
    "load_records": "data.load",
    "parse_tool_calls": "eval.parse",
    "render": "data.render",
    "score": "eval.scoring",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
