"""The tools: `tools.json` describes every tool and parameter in both languages, `한국어 / English`."""

import json
from functools import cache
from pathlib import Path
from typing import Any

Schema = dict[str, Any]


@cache
def _load(name: str) -> tuple[Schema, ...]:
    return tuple(json.loads((Path(__file__).parent.parent / name).read_text(encoding="utf-8")))


def core_tools() -> list[Schema]:
    """The 30 tools of the training rows."""
    return list(_load("tools.json"))


def heldout_tools() -> list[Schema]:
    """The five tools that only the test's T4 rows offer."""
    return list(_load("tools_heldout.json"))


@cache
def functions() -> dict[str, Schema]:
    """Every tool's function schema by name."""
    return {t["function"]["name"]: t["function"] for t in (*core_tools(), *heldout_tools())}


@cache
def parameters() -> dict[str, Schema]:
    """Every tool's parameter schema by name."""
    return {name: function["parameters"] for name, function in functions().items()}
