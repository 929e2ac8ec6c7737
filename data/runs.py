"""A run is a folder: where runs live, and how one is found."""

import json
import os
from pathlib import Path
from typing import Any

from data.errors import InputError

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


def forget_run(folder: Path) -> None:
    """After a run was taken away: `runs/latest` names the newest that is left, or nothing."""
    left = sorted(folder.parent.glob("*/manifest.json"), key=lambda p: p.stat().st_mtime)
    (folder.parent / "latest").unlink(missing_ok=True)
    if left:
        point_latest(left[-1].parent)


def find_run(name: str | None = None) -> Path:
    """The folder of a run given by name or path; None: the newest.

    Raises:
        InputError: there is no such run.
    """
    if name is None or name == "latest":
        latest = runs_dir() / "latest"
        if not latest.exists():
            raise InputError("there is no run yet", where=str(runs_dir()), fix="`make train` makes one")
        folder = latest.resolve() if latest.is_dir() else runs_dir() / latest.read_text(encoding="utf-8").strip()
    else:
        folder = Path(name) if Path(name).is_dir() else runs_dir() / name
    if not (folder / "config.yaml").is_file():
        known = sorted(p.parent.name for p in runs_dir().glob("*/config.yaml") if p.parent.name != "latest")
        raise InputError(f"no run {name!r}", where=str(folder), fix=f"runs: {', '.join(known[-5:]) or 'none yet'}")
    return folder


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a run.

    Raises:
        InputError: the run has not begun to train, or the file is missing or broken.
    """
    path = folder / "manifest.json"
    if not path.is_file() and not (folder / "metrics.jsonl").is_file():
        raise InputError("this run has not begun to train", where=str(folder), fix="see its log.txt")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("this file of the run is missing", where=str(path), fix=MEND) from None
    except (OSError, ValueError, RecursionError) as e:
        raise InputError(f"the file is broken ({e})", where=str(path), fix=MEND) from None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("device"), dict):
        raise InputError("this is not the manifest of a run", where=str(path), fix=MEND)
    return manifest
