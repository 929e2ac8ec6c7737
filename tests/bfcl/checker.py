"""BFCL's own verdict, through its package: what it reads from a text, and whether its AST checker accepts that.

`bfcl-eval` declares some forty dependencies, all of them for asking models. Checking needs none, but the checker
imports the table of models, and with it every vendor's client: an empty table stands in for it while the checker is
imported.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from tests.bfcl.items import Item
from tooltune.errors import InputError

VERSION = "2026.3.23"
_MODELS = "bfcl_eval.constants.model_config"
_NAME = "any"
_OPEN, _CLOSE = "<tool_call>\n", "\n</tool_call>"


@dataclass(frozen=True)
class Bfcl:
    """The package: its questions' folder, and its checker."""

    data: Path
    check: Callable[..., dict[str, Any]]
    python: Any

    def verdict(self, item: Item, text: str) -> tuple[bool, str]:
        """Whether BFCL counts the output as right, and else its word for the fault."""
        try:
            calls = [{call["name"]: dict(call["arguments"].items())} for call in read_blocks(text)]
        except (AttributeError, KeyError, TypeError, ValueError):
            return False, "decoder_failed"
        return self.verdict_on(item, calls)

    def verdict_on(self, item: Item, calls: list[dict[str, Any]]) -> tuple[bool, str]:
        """The same for calls that are read already, `{name: arguments}` each."""
        try:
            found = self.check(item.functions, calls, item.truth, self.python, item.category, _NAME)
        except Exception as e:  # the checker falls over some values
            return False, f"raises {type(e).__name__}"
        return found["valid"], "" if found["valid"] else found["error_type"]


def load_bfcl() -> Bfcl:
    """Import the package's checker.

    Raises:
        InputError: the package is not installed, or is another release than the one this check is written for.
    """
    try:
        from importlib.metadata import PackageNotFoundError, version

        import bfcl_eval
    except ModuleNotFoundError:
        raise InputError("bfcl-eval is not installed", fix=_INSTALL) from None
    try:
        installed = version("bfcl-eval")
    except PackageNotFoundError:
        installed = VERSION  # unpacked by hand
    if installed != VERSION:
        raise InputError(f"bfcl-eval {installed} is installed, not {VERSION}", fix=_INSTALL)
    stand_in = ModuleType(_MODELS)
    vars(stand_in)["MODEL_CONFIG_MAPPING"] = {_NAME: SimpleNamespace(underscore_to_dot=False)}
    before = sys.modules.get(_MODELS)
    sys.modules[_MODELS] = stand_in
    try:
        checker = import_module("bfcl_eval.eval_checker.ast_eval.ast_checker")
    finally:
        sys.modules.pop(_MODELS)
        if before is not None:
            sys.modules[_MODELS] = before
    language = import_module("bfcl_eval.constants.enums").Language.PYTHON
    return Bfcl(Path(bfcl_eval.__path__[0]) / "data", checker.ast_checker, language)


_INSTALL = f"pip install --no-deps bfcl-eval=={VERSION} (its dependencies are not needed for this)"


def read_blocks(text: str) -> list[Any]:
    """What BFCL's handler for Qwen's format reads: the JSON between the tags, a block that is no JSON passed over."""
    found = []
    for part in text.split(_OPEN)[1:]:
        payload, closed, _ = part.partition(_CLOSE)
        try:
            found += [json.loads(payload)] if closed else []
        except ValueError:
            continue
    return found
