"""A run is a folder: where runs live, and how one is found."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict, cast

from tooltune.config import Config, checked, config_keys
from tooltune.errors import InputError
from tooltune.files import patiently, read_text, read_yaml, user_path

SHOWN = 20
"""Runs that a message names."""

MEND = "put the file back from a copy, or train again; the adapters in best/ and last/ load without it"

ASSUMED: dict[str, Any] = {
    "model.fast_matmul": False,
    "train.share_prefix": "off",
    "train.pass_tokens": 2048,
    "train.on_nan": "stop",
    "loss": {"role_weights": {"name": 1, "arguments": 1, "format": 1, "text": 1}},
    "memory.recoveries": 0,
    "eval.generate_batch": 16,
    "report.trackio": False,
}
"""Config keys that came later than the first runs, with what those runs did without them."""


class DeviceFacts(TypedDict):
    """What computed; `kind` is cuda or cpu."""

    kind: str
    name: str
    memory_gib: float


class TemplateFacts(TypedDict):
    """Where the chat template came from, and the tool-call format that it writes."""

    origin: Literal["own", "project"]
    family: str


class PlannedMemory(TypedDict):
    """The plan that was made when the rows were known, GiB: tensors, the process, what a card must have free."""

    tensors_gib: float
    expected_gib: float
    gate_gib: float
    peak_phase: str


class PeakMemory(TypedDict):
    """The most that the process held, GiB; the card's figures are None on a CPU.

    `gpu_workspace_gib` is cuBLAS' share of both, which no plan counts; older runs have none.
    """

    gpu_allocated_gib: float | None
    gpu_reserved_gib: float | None
    gpu_workspace_gib: NotRequired[float | None]
    rss_gib: float


class Best(TypedDict):
    """The checkpoint that was kept: its step, what decided, and the digest of the adapter's tensors."""

    step: int
    metric: str
    value: float
    sha256: str


class Environment(TypedDict):
    """What the figures of a run depend on besides its config and its device."""

    python: str
    platform: str
    packages: dict[str, str]
    cuda: str | None
    driver: str | None
    git_commit: str | None


class Manifest(Environment):
    """What a run's figures depend on, as `manifest.json` has it; the last keys come while it trains.

    Attributes:
        weights: `weights_digest` of the base model; older runs have none.
        data: file → SHA-256.
        rows, dropped: by split, how many and which (id, tokens).
        tokens: of an epoch: of its rows, computed (shared prefixes once), supervised.
        model_files_sha256, code_sha256: of the base model's other files (config, tokenizer) and of this repository's
            code (`finetune.manifest`).
        recoveries: step, phase, change and message of each time that memory ran out.
        settings: those that decide what is learnt, by dotted key.
        forced: step, field, was and now of what had changed when the run was gone on with by `--force`.
    """

    device: DeviceFacts
    model: str
    model_folder: str
    weights: NotRequired[str | None]
    model_files_sha256: NotRequired[str]
    code_sha256: NotRequired[str]
    precision: str
    template: TemplateFacts
    data: dict[str, str]
    rows: dict[str, int]
    dropped: dict[str, list[tuple[str, int]]]
    effective_batch: int
    steps: int
    longest_row: int
    tokens: dict[str, int]
    seed: int
    lora: dict[str, Any]
    planned_memory: PlannedMemory | None
    attention: NotRequired[str]
    matmul_gflops: NotRequired[float]
    matmul_dtype: NotRequired[str]
    recoveries: NotRequired[list[dict[str, Any]]]
    settings: NotRequired[dict[str, Any]]
    forced: NotRequired[list[dict[str, Any]]]
    best: NotRequired[Best]
    peak_memory: NotRequired[PeakMemory]
    wall_seconds: NotRequired[float]


@dataclass(frozen=True)
class Run:
    """A run that began to train. `data.splits.read_splits(run.config.data)` has its rows."""

    folder: Path
    config: Config
    manifest: Manifest

    @classmethod
    def find(cls, name: str | None = None) -> "Run":
        """A run by name or folder; None: the newest.

        Raises:
            InputError: there is no such run, or one of its files is missing or broken.
        """
        folder = find_run(name)
        return cls(folder, read_config(folder), read_manifest(folder))


def runs_dir() -> Path:
    """Where runs live: `$TOOLTUNE_RUNS`, else `runs/` in the current folder."""
    return user_path(os.environ.get("TOOLTUNE_RUNS") or "runs")


def latest_name(runs: Path) -> Path:
    """Where the newest run's name stands.

    Raises:
        InputError: a folder stands there, as where runs were copied with what their links name.
    """
    latest = runs / "latest"
    if latest.is_dir() and not latest.is_symlink():
        fix = "give the folder another name: it is kept for the name of the newest run"
        raise InputError("this is a folder", where=str(latest), fix=fix)
    return latest


def point_latest(folder: Path) -> None:
    """Make `runs/latest` name this run: a link, or a text file where links are not allowed (Windows)."""
    latest = latest_name(folder.parent)
    temporary = folder.parent / f".latest-{os.getpid()}"
    try:
        temporary.symlink_to(folder.name)
    except OSError:
        temporary.write_text(folder.name, encoding="utf-8")
    patiently(lambda: temporary.replace(latest))


def find_run(name: str | None = None) -> Path:
    """The folder of a run given by name or path; None: the newest that began to train.

    Raises:
        InputError: there is no such run, or it never began.
    """
    given = Path("latest" if name is None else name)
    if given.name == "latest":  # by whatever path: the run that it names is another folder soon
        folder = _newest(runs_dir() if given == Path("latest") else given.parent)
    else:
        folder = _named(given)
    there = os.path.isdir(folder)  # noqa: PTH112 - Path.is_dir and Path.is_file raise at long names
    if there and (folder / "config.yaml").is_file():
        return folder
    if there and (folder / "manifest.json").is_file():
        raise InputError("this file of the run is missing", where=str(folder / "config.yaml"), fix=MEND)
    what = "the run never began to train" if there and (folder / "log.txt").is_file() else f"no run {name!r}"
    raise InputError(what, where=str(folder), fix=f"runs: {_listed(_begun(runs_dir())) or 'none yet'}")


def _named(given: Path) -> Path:
    """A run of this name before any other folder (data, docs) that is called so where the command is given."""
    run = runs_dir() / given
    if os.path.isdir(run) or not os.path.isdir(given):  # noqa: PTH112 - Path.is_dir raises at long names
        return run
    return given if given.name not in ("", "..") else given.resolve()  # from within it


def _newest(runs: Path) -> Path:
    latest = runs / "latest"
    as_text = latest.is_file()  # where links are not allowed
    folder = runs / latest.read_text("utf-8", "replace").strip() if as_text else Path(os.path.realpath(latest))
    if (folder / "config.yaml").is_file() or (folder / "manifest.json").is_file():
        return folder
    begun = _begun(runs)
    if not begun:
        fix = "`python -m finetune train` makes one"
        raise InputError("no run has started to train yet", where=str(runs), fix=fix)
    what = "the newest run never began to train" if folder.is_dir() else "it names no run"
    raise InputError(what, where=str(latest), fix=f"name one of: {_listed(begun)}")


def _begun(runs: Path) -> list[str]:
    configs = [path for path in runs.glob("*/config.yaml") if path.parent.name != "latest"]
    return [path.parent.name for path in sorted(configs, key=lambda path: -path.stat().st_mtime)]


def _listed(names: list[str]) -> str:
    more = [f"and {len(names) - SHOWN} more (python -m finetune runs)"] if len(names) > SHOWN else []
    return ", ".join(names[:SHOWN] + more)


@contextmanager
def looking(where: Path | str, fix: str = MEND) -> Iterator[None]:
    """Around what looks at a run's files: InputError where values are not of the kind that they were, as in those of
    another version."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as e:
        what = f"its files are not those of a run ({type(e).__name__}: {e})"
        raise InputError(what, where=str(where), fix=fix) from e


def read_config(folder: Path, overrides: list[str] | None = None) -> Config:
    """The config.yaml of a run, with `key=value` overrides; a run of an older version gets what it assumed (`ASSUMED`).

    Raises:
        InputError: it is missing or broken, lacks a key or has an unknown one, or a value is out of range.
    """
    path = folder / "config.yaml"
    try:
        values = read_yaml(read_text(path))
    except FileNotFoundError:
        raise InputError("this file of the run is missing", where=str(path), fix=MEND) from None
    except (OSError, ValueError) as e:
        raise InputError(f"the file is broken ({e})", where=str(path), fix=MEND) from None
    if not isinstance(values, dict) or not isinstance(values.get("model"), dict):
        raise InputError(
            "the file is empty" if not values else "this is not the config of a run", where=str(path), fix=MEND
        )
    for key, value in ASSUMED.items():
        section, _, leaf = key.rpartition(".")
        target = values.get(section) if section else values
        if isinstance(target, dict):
            target.setdefault(leaf, value)
    _require(values, config_keys(required=True), path, "copy it from a preset: finetune/presets/cpu.yaml")
    return checked(values, path, overrides)


def read_manifest(folder: Path, needed: Sequence[str] = ()) -> Manifest:
    """The manifest of a run.

    Args:
        needed: dotted keys that the caller looks at; a manifest of another version may lack some.

    Raises:
        InputError: the run has not started to train, or the file is missing or broken, or lacks a key that is needed.
    """
    path = folder / "manifest.json"
    if not path.is_file() and not (folder / "metrics.jsonl").is_file():
        raise InputError("this run has not started to train", where=str(folder), fix="see its log.txt")
    try:
        manifest = json.loads(read_text(path))
    except FileNotFoundError:
        raise InputError("this file of the run is missing", where=str(path), fix=MEND) from None
    except (OSError, ValueError, RecursionError) as e:
        raise InputError(f"the file is broken ({e})", where=str(path), fix=MEND) from None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("device"), dict):
        raise InputError("this is not the manifest of a run", where=str(path), fix=MEND)
    _require(manifest, needed, path, MEND)
    return cast(Manifest, manifest)


def peak_gib(manifest: Manifest) -> float | None:
    """GiB that the run held at most, on the card or else of main memory; None before it ended."""
    peak = manifest.get("peak_memory")
    return (peak["gpu_reserved_gib"] or peak["rss_gib"]) if peak else None


def _require(values: dict[str, Any], keys: Sequence[str], path: Path, fix: str) -> None:
    for key in keys:
        found: Any = values
        for part in key.split("."):
            if not isinstance(found, dict) or part not in found:
                raise InputError("this key of the run is missing", where=f"{path} {key}", fix=fix)
            found = found[part]
