"""Dataset formats: one module a format. A module with NAME is a format; the others are what formats share.

A format's module has

- `NAME`: what the terminal calls it,
- `matches(row) -> bool`: whether a parsed row has this form; no row should match two formats,
- `read(row, beside) -> Iterable[dict]`: the records in it as `{"messages", "tools", "meta"?, "id"?}`, where `beside`
  finds other files of the same data set. It raises InputError when the row cannot be read.

To add a format, add a file, and the keys of its rows to `keys.ROW`.
"""

import pkgutil
from functools import cache
from importlib import import_module
from types import ModuleType


@cache
def formats() -> dict[str, ModuleType]:
    """Every format by its name, the modules in alphabetical order."""
    found: dict[str, ModuleType] = {}
    for info in sorted(pkgutil.iter_modules(__path__), key=lambda info: info.name):
        module = import_module(f"{__name__}.{info.name}")
        if hasattr(module, "NAME"):
            found[module.NAME] = module
    return found
