"""A page as one file: the shell that all pages share, style and scripts, and a policy that lets nothing else in."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup

from tooltune.page.text import script_json, visible

HERE = Path(__file__).parent


def render(
    folder: Path,
    *,
    lang: str,
    template: str = "page.html",
    styles: Sequence[str] = ("page.css",),
    script: str | None = "",
    curves: bool = False,
    data: Any = None,
    filters: Mapping[str, Any] | None = None,
    **values: Any,
) -> str:
    """The page of a folder: its template, which fills the blocks of `base.html`, with the house's style before its
    own.

    Style and scripts are allowed by their hashes and nothing else, so that no text of a model, a dataset or a run can
    ever run in it. Values are escaped; the filter `visible` also writes out what would be invisible.

    Args:
        lang: the language that the page opens in, ko or en; the reader can switch.
        script: the page's JavaScript, which runs after that of the switches; None: none, the page switches without.
        curves: the page draws `tooltune.page.curves`; its script calls `curveCharts` (curves.js), and plotly is in it.
        data: what the scripts read as JSON from the element `data`; None: there is no such element.
    """
    own = ("curves.js",) if curves else ()
    sheets = [HERE / "base.css", *([HERE / "curves.css"] if curves else []), *(folder / sheet for sheet in styles)]
    library = _plotly() if curves else ""
    before = "".join((HERE / name).read_text(encoding="utf-8") for name in ("switches.js", *own))
    scripts = [] if script is None else [*filter(None, [library]), before + script]
    style = "".join(path.read_text(encoding="utf-8") for path in sheets)
    environment = SandboxedEnvironment(
        loader=ChoiceLoader([FileSystemLoader(folder), FileSystemLoader(HERE)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"visible": lambda text: visible(str(text)), **(filters or {})}
    return environment.get_template(template).render(
        lang=lang,
        policy=_policy(scripts, style),
        style=Markup(style),  # noqa: S704 - files of this project
        scripts=[Markup(one) for one in scripts],  # noqa: S704
        refused=re.findall(r'getElementById\("([0-9a-f]{64})"\)', library),
        data=None if data is None else Markup(script_json(data)),  # noqa: S704
        **values,
    )


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _policy(scripts: Sequence[str], style: str) -> str:
    allowed = [f"script-src {' '.join(map(_hash, scripts))}"] if scripts else []
    sources = [*allowed, f"style-src {_hash(style)}", "img-src data:", "base-uri 'none'", "form-action 'none'"]
    return "; ".join(["default-src 'none'", *sources])


def _hash(text: str) -> str:
    """The text's digest as a Content-Security-Policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
