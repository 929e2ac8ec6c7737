"""The licence files of a model's folder, which go along with whatever is made from the model."""

import shutil
from fnmatch import fnmatch
from pathlib import Path

PATTERNS = ("NOTICE*", "*TERMS*", "LICENSE*", "LICENCE*", "USE_POLICY*")
"""Names, in any case, under which models bring their licence: Gemma's notice and terms, Llama's licence and policy."""


def licence_files(folder: Path) -> list[Path]:
    found = [path for path in folder.iterdir() if any(fnmatch(path.name.upper(), p) for p in PATTERNS)]
    return sorted(path for path in found if path.is_file())


def copy_licence(source: Path, target: Path) -> None:
    """Copy the licence files of a model's or an adapter's folder into that of an adapter, merged model or export."""
    for path in licence_files(source):
        shutil.copyfile(path, target / path.name)
