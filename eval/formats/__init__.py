"""Tool-call formats: one module a family. A module with NAMES is a family; the others are what families share.

A family's module has `NAMES` (the API's name first, then aliases), `MARKERS` (sets of strings; a chat template that
holds every string of one set may be of this family), `OPENERS` (strings in an output that only this format writes),
`parse(text, tools) -> Reading`, and `render(calls) -> str` where the format can be written. `PYTHON = True` says that
the payload is Python syntax. To add a family, add a file.
"""

import pkgutil
from functools import cache
from importlib import import_module
from types import ModuleType


@cache
def families() -> dict[str, ModuleType]:
    """Every family by each of its names, the modules in alphabetical order."""
    found: dict[str, ModuleType] = {}
    for info in sorted(pkgutil.iter_modules(__path__), key=lambda info: info.name):
        module = import_module(f"{__name__}.{info.name}")
        for name in getattr(module, "NAMES", ()):
            found[name] = module
    return found
