"""Where a run's figures go besides its folder: TensorBoard, wandb and trackio, under the same names everywhere.

docs/metrics.md, "What is logged": what is logged while training is `train/…`, evaluations are `eval/…`, the machine's
figures `system/…`. wandb and trackio write to this machine only, unless their own variables say otherwise.
"""

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tooltune.config import Config, ReportSection
from tooltune.errors import InputError

PROJECT = "tooltune"

SYSTEM = {"gpu_memory_allocated", "gpu_memory_reserved", "gpu_utilization", "cpu_utilization", "memory"}


@dataclass(frozen=True)
class Tracker:
    """A place that takes figures by name and step.

    Attributes:
        log: told the figures of one event (see `named`) and its step.
        close: write out what is left; called once, at the end.
    """

    log: Callable[[dict[str, float], int], None]
    close: Callable[[], None]


def named(event: dict[str, Any]) -> dict[str, float]:
    """An event's numbers under the names that every tracker shows; texts, None and the step itself are left out."""
    numbers = {k: v for k, v in event.items() if isinstance(v, int | float) and not isinstance(v, bool) and k != "step"}
    return {_name(key): value for key, value in numbers.items()}


def check_trackers(report: ReportSection) -> None:
    """Before anything is loaded: are the wanted trackers installed?

    Raises:
        InputError: one is not, with the command that installs it.
    """
    for name, wanted in (("wandb", report.wandb), ("trackio", report.trackio)):
        if wanted and importlib.util.find_spec(name) is None:
            fix = f"pip install {name}, or set it false"
            raise InputError(f"the package {name} is not installed", where=f"report.{name}", fix=fix)


def open_trackers(config: Config, run: Path) -> list[Tracker]:
    """The trackers that the config asks for, ready to log.

    Raises:
        InputError: one is not installed, or is to log to a server that it cannot log in to.
    """
    check_trackers(config.report)
    wanted = ((config.report.tensorboard, tensorboard), (config.report.wandb, wandb), (config.report.trackio, trackio))
    return [open_one(config, run) for asked_for, open_one in wanted if asked_for]


def tensorboard(config: Config, run: Path) -> Tracker:
    """Event files in the run's folder, flushed at each event, so that a live board keeps up."""
    from torch.utils.tensorboard import SummaryWriter

    writer: Any = SummaryWriter(str(run / "tensorboard"))

    def log(values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    return Tracker(log, writer.close)


def wandb(config: Config, run: Path) -> Tracker:
    """wandb into the run's folder; `wandb sync` sends it later. Online only where the user has set WANDB_MODE=online.

    Nothing is ever asked for, and no code, terminal output or figures of its own are collected.

    Raises:
        InputError: it is to be online, and is not logged in or does not reach its server.
    """
    os.environ.setdefault("WANDB_MODE", "offline")
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read when wandb is imported
    import wandb as library

    what, fix = "wandb is to be online, and has no account or no connection", "`wandb login`, or unset it"
    online = InputError(what, where="WANDB_MODE", fix=fix)
    if os.environ["WANDB_MODE"] == "online" and not library.login(prompt=False):
        raise online
    settings = library.Settings(
        silent=True, console="off", disable_git=True, disable_code=True, x_disable_stats=True, init_timeout=30
    )
    try:
        opened = library.init(
            project=PROJECT,
            id=run.name,
            name=run.name,
            dir=str(run),
            resume="allow",
            config=config.model_dump(mode="json"),
            settings=settings,
        )
    except (library.errors.CommError, library.errors.UsageError) as e:
        raise online from e
    return Tracker(lambda values, step: opened.log(values, step=step), opened.finish)


def trackio(config: Config, run: Path) -> Tracker:
    """trackio's local database; `trackio show` opens the dashboard. A Space only where TRACKIO_SPACE_ID names one.

    Raises:
        InputError: a Space or server is named, and it cannot be logged in to.
    """
    import trackio as library
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    try:
        opened = library.init(
            project=PROJECT,
            name=run.name,
            resume="allow",
            config=config.model_dump(mode="json"),
            private=True,
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
    except (LocalTokenNotFoundError, HfHubHTTPError, ValueError) as e:
        raise InputError(f"trackio cannot log: {e}", where="report.trackio", fix="unset TRACKIO_SPACE_ID") from e
    return Tracker(lambda values, step: opened.log(values, step=step), opened.finish)


def _name(key: str) -> str:
    if key.startswith("eval_"):
        return f"eval/{key.removeprefix('eval_')}"
    return f"system/{key}" if key in SYSTEM else f"train/{key}"
