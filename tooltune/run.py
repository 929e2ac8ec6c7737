"""A run is a folder: where runs live, and how one is found."""

import json
import os
from pathlib import Path
from typing import Any

import yaml

from tooltune.errors import InputError

SHOWN = 20
"""Runs that a message names."""

MEND = "put the file back from a copy, or train again; the adapters in best/ and last/ load without it"


def runs_dir() -> Path:
    """Where runs live: `$TOOLTUNE_RUNS`, else `runs/` in the current folder."""
    return Path(os.environ.get("TOOLTUNE_RUNS") or "runs")


def point_latest(folder: Path) -> None:
    """Make `runs/latest` name this run: a link, or a text file where links are not allowed (Windows)."""
    latest = folder.parent / "latest"
    temporary = folder.parent / f".latest-{os.getpid()}"
    try:
        temporary.symlink_to(folder.name)
    except OSError:
        temporary.write_text(folder.name, encoding="utf-8")
    temporary.replace(latest)


def find_run(name: str | None = None) -> Path:
    """The folder of a run given by name or path; None: the newest that began to train.

    Raises:
        InputError: there is no such run, or it never began.
    """
    folder = _newest() if name is None or name == "latest" else _named(name)
    if not (folder / "config.yaml").is_file():
        if (folder / "manifest.json").is_file():
            raise InputError("this file of the run is missing", where=str(folder / "config.yaml"), fix=MEND)
        what = "the run never began to train" if (folder / "log.txt").is_file() else f"no run {name!r}"
        raise InputError(what, where=str(folder), fix=f"runs: {_listed(_begun()) or 'none yet'}")
    return folder


def _named(name: str) -> Path:
    return Path(name) if Path(name).is_dir() else runs_dir() / name


def _newest() -> Path:
    latest = runs_dir() / "latest"
    as_text = latest.is_file()  # where links are not allowed
    folder = runs_dir() / latest.read_text(encoding="utf-8").strip() if as_text else latest.resolve()
    if (folder / "config.yaml").is_file() or (folder / "manifest.json").is_file():
        return folder
    begun = _begun()
    if not begun:
        raise InputError("no run has started to train yet", where=str(runs_dir()), fix="`make train` makes one")
    what = "the newest run never began to train" if folder.is_dir() else "it names no run"
    raise InputError(what, where=str(latest), fix=f"name one of: {_listed(begun)}")


def _begun() -> list[str]:
    """The names of all runs, the newest first."""
    configs = [path for path in runs_dir().glob("*/config.yaml") if path.parent.name != "latest"]
    return [path.parent.name for path in sorted(configs, key=lambda path: -path.stat().st_mtime)]


def _listed(names: list[str]) -> str:
    more = [f"and {len(names) - SHOWN} more (python -m finetune runs)"] if len(names) > SHOWN else []
    return ", ".join(names[:SHOWN] + more)


def read_recipe(folder: Path) -> dict[str, Any]:
    """The config.yaml of a run, as it stands there.

    Raises:
        InputError: it is missing or broken.
    """
    path = folder / "config.yaml"
    try:
        recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("this file of the run is missing", where=str(path), fix=MEND) from None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as e:
        raise InputError(f"the file is broken ({' '.join(str(e).split())})", where=str(path), fix=MEND) from None
    if not isinstance(recipe, dict) or not isinstance(recipe.get("model"), dict):
        raise InputError(
            "the file is empty" if not recipe else "this is not the config of a run", where=str(path), fix=MEND
        )
    return recipe


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a run.

    Raises:
        InputError: the run has not started to train, or the file is missing or broken.
    """
    path = folder / "manifest.json"
    if not path.is_file() and not (folder / "metrics.jsonl").is_file():
        raise InputError("this run has not started to train", where=str(folder), fix="see its log.txt")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("this file of the run is missing", where=str(path), fix=MEND) from None
    except (OSError, ValueError, RecursionError) as e:
        raise InputError(f"the file is broken ({e})", where=str(path), fix=MEND) from None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("device"), dict):
        raise InputError("this is not the manifest of a run", where=str(path), fix=MEND)
    return manifest
