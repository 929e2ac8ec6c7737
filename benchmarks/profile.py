"""`python -m benchmarks profile`: which operators a training step of one arm spends its time in.

The steps are a benchmark worker's own: the same rows, model, adapter and trainer, in a process of its own, with
torch.profiler listening to the last few. Listening costs time, so the shares are to be read, not the seconds.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from tooltune.cli import DEBUG, Debug, errors_as_lines, print_json
from tooltune.config import Config
from tooltune.errors import InputError, JobFailed
from tooltune.files import write_json


@dataclass(frozen=True)
class Operator:
    """An operator over all profiled steps: its own time, what it calls left out.

    Attributes:
        share: of the own time of all operators.
    """

    name: str
    self_ms: float
    share: float
    calls: int


def profile_command(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[PRESET|FILE] [KEY=VALUE ...]", help="as for finetune train")
    ] = None,
    arm: Annotated[str, typer.Option(help="hf-trainer, unsloth, or another arm of the benchmark")] = "unsloth",
    shape: Annotated[str, typer.Option(help="ROWSxTOKENS, or mix (the dataset's own lengths)")] = "mix",
    steps: Annotated[int, typer.Option(min=1, max=20, help="profiled steps")] = 3,
    warmup: Annotated[int, typer.Option(min=1, help="steps before them")] = 4,
    top: Annotated[int, typer.Option(min=1, help="operators to print")] = 15,
    as_json: Annotated[bool, typer.Option("--json", help="print every operator as JSON")] = False,
    debug: Debug = DEBUG,
) -> None:
    """The operators that one arm's training steps spend their time in."""
    with errors_as_lines(debug):
        from finetune.arguments import config_from
        from tooltune.console import Terminal

        console = Terminal(stderr=as_json)
        _, config = config_from(arguments, console.print)
        result = profile(config, arm, shape, steps=steps, warmup=warmup, say=console.print)
        if as_json:
            print_json(result)
        else:
            console.print(operator_table(result, top))


def profile(
    config: Config, arm: str, shape_name: str, *, steps: int, warmup: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Profile `steps` optimizer steps of an arm after `warmup` others.

    Raises:
        InputError: there is no such arm or shape, or the arm cannot run on this machine.
        JobFailed: the arm did not come to its end.
    """
    from benchmarks import arms, shapes
    from benchmarks.orchestrate import WorkerJob, base_of, model_folder, read_examples, run_one, write_shapes
    from benchmarks.this_machine import machine

    here = machine()
    device = here["device"]["kind"]
    make = arms.choose(arm, device)[arm]
    (shape,) = shapes.choose(shape_name, config, device)
    folder, _ = model_folder(config, say)
    base = base_of(config, folder)
    try:
        setup = make(base, device)
    except arms.Unavailable as e:
        raise InputError(f"the arm {arm!r} cannot run here: {e}", where="--arm", fix="hf-trainer or unsloth") from None
    with tempfile.TemporaryDirectory(prefix="profile-") as temporary:
        work = Path(temporary)
        write_shapes([shape], read_examples(base, say), base, warmup=warmup, steps=warmup + steps, work=work)
        job = WorkerJob(base, device, warmup + steps, warmup, 1800, None, work, _command)
        say(f"Profiling {steps} steps of {arm} on {shape.name} after {warmup} of warm-up …")
        run: dict[str, Any] = dict(run_one(job, arm, setup, shape, lambda _: None))
    if run["status"] != "ok":
        raise JobFailed(f"{arm}: {run['status']} ({run['reason']})")
    return {
        "kind": "profile",
        "date": time.strftime("%Y-%m-%d"),
        **here,
        "arm": arm,
        "shape": shape.name,
        "steps": steps,
        "warmup_steps": warmup,
        "seconds_per_step": run["seconds_per_step"],
        **run["profile"],
    }


def operator_table(result: dict[str, Any], top: int) -> Any:
    """The first operators and what the rest come to, for the terminal."""
    from rich.table import Table
    from rich.text import Text

    title = (
        f"{result['arm']} on {result['shape']}: own time of the operators, {result['time_of']}, {result['steps']} steps"
    )
    shown = Table(title=title, title_justify="left")
    for name in ("operator", "share", "own time, ms a step", "calls a step"):
        shown.add_column(name, justify="left" if name == "operator" else "right")
    rows = [Operator(**row) for row in result["operators"]]
    rest = rows[top:]
    if rest:
        left = sum(row.self_ms for row in rest), sum(row.share for row in rest), sum(row.calls for row in rest)
        rows = [*rows[:top], Operator(f"{len(rest)} others", *left)]
    for row in rows:
        per_step = f"{row.self_ms / result['steps']:,.1f}", f"{row.calls / result['steps']:,.0f}"
        shown.add_row(Text(row.name), f"{row.share:.1%}", *per_step)
    return shown


def _command(spec: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.profile", str(spec)]


def main(path: str) -> None:
    """Run a worker's spec with the profiler on its last steps, and put what it heard into the worker's result."""
    import torch
    from torch.optim.optimizer import register_optimizer_step_post_hook
    from torch.profiler import ProfilerActivity, schedule

    from benchmarks import worker

    spec = json.loads(Path(path).read_text(encoding="utf-8"))
    warmup, steps = spec["warmup_steps"], spec["config"]["train"]["max_steps"] - spec["warmup_steps"]
    cuda = torch.cuda.is_available()
    listening = torch.profiler.profile(
        activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])],
        schedule=schedule(wait=warmup - 1, warmup=1, active=steps, repeat=1),
    )
    with listening:
        # A step of the profiler is one of the optimizer; the hook spares the worker from knowing about it.
        register_optimizer_step_post_hook(lambda *_: listening.step())
        worker.main(path)
    result = json.loads(Path(spec["result"]).read_text(encoding="utf-8"))
    if result["status"] == "ok":
        write_json(spec["result"], result | {"profile": heard(listening.key_averages(), cuda=cuda)})


def heard(averages: Any, *, cuda: bool) -> dict[str, Any]:
    """The operators by their own time, longest first: on the card where there is one, else on the processor.

    Args:
        averages: what `torch.profiler.profile.key_averages` gives; times are in microseconds.
    """
    key = "self_device_time_total" if cuda else "self_cpu_time_total"
    own = [(event.key, getattr(event, key) / 1000, event.count) for event in averages]
    own = [row for row in own if row[1] > 0 and not row[0].startswith("ProfilerStep")]
    total = sum(ms for _, ms, _ in own)
    operators = [
        Operator(name, round(ms, 3), round(ms / total, 5), count)
        for name, ms, count in sorted(own, key=lambda row: -row[1])
    ]
    return {
        "time_of": "device" if cuda else "processor",
        "total_self_ms": round(total, 3),
        "operators": [asdict(operator) for operator in operators],
    }


if __name__ == "__main__":
    main(sys.argv[1])
