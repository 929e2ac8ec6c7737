"""Runs `python -m finetune` with a fault put into it: `python -m tests.reliability.faults FAULT train …`.

    count=FILE       no fault: how often each place is come by, as JSON
    kill=PLACE,N     SIGKILL in the middle of the N-th call at a place
    after=SECONDS    SIGKILL so long after the start
    press=PLACE,N    Ctrl-C at the N-th call; press twice: `twice=PLACE,N`; `term=PLACE,N`: SIGTERM
    close=PLACE,N    the terminal is closed: SIGHUP, and nobody hears what is said
    full=PLACE,N     the disk of the run, which is a small one, is full from the N-th call on
    nan=WHERE,STEP   the loss, the gradient or a weight is NaN at a step; `nan=spike,STEP`: the gradient is huge

Everything else is the product. Of several processes (torchrun) the one of FAULT_RANK has the fault, and each says on
standard error which threads of gloo it would leave to the end of the interpreter, which they abort.
"""

import atexit
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

PLACES = {
    "rows": ("finetune.train", "prepare"),
    "load": ("finetune.models", "load"),
    "manifest": ("finetune.train", "write_json"),
    "probe": ("finetune.first_look", "probe"),
    "forget": ("finetune.callbacks", "write_jsonl"),
    "step": ("transformers.Trainer", "training_step"),
    "optimizer": ("torch.optim.AdamW", "step"),
    "event": ("finetune.callbacks", "append_jsonl"),
    "checkpoint": ("torch", "save"),
    "sums": ("finetune.checkpoints", "_to_disk"),
    "prune": ("finetune.checkpoints", "remove"),
    "evaluation": ("finetune.trainer", "evaluation_loss"),
    "generation": ("eval.generate", "generate"),
    "best": ("shutil", "copy"),
    "page": ("finetune.report", "write_run_page"),
    "pictures": ("finetune.report", "write_plots"),
}


def at(place: str, then: Callable[[int, Callable[[], Any], tuple[Any, ...]], Any]) -> None:
    """Let `then` stand at a place: it is given which call this is, from 1, the call itself, and its arguments."""
    name, attribute = PLACES[place]
    module, _, last = name.rpartition(".")
    holder: Any = getattr(import_module(module), last) if last[0].isupper() else import_module(name)
    real = getattr(holder, attribute)
    calls = 0

    def standing(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        return then(calls, lambda: real(*args, **kwargs), args)

    setattr(holder, attribute, standing)


def killed() -> None:
    """As `kill -9` and a power cut do it: nothing is tidied."""
    os.kill(os.getpid(), signal.SIGKILL)


def half_done(place: str, call: Callable[[], Any], args: tuple[Any, ...]) -> None:
    """Do a part of what a call does, as far as a kill in its middle would leave a part."""
    if place == "checkpoint":
        call()
        os.truncate(args[1], Path(args[1]).stat().st_size // 2)
    elif place == "event":
        with Path(args[0]).open("a", encoding="utf-8") as f:
            f.write('{"step": 1, "lo')
    elif place == "prune":
        (args[0] / "optimizer.pt").unlink()
    elif place in ("optimizer", "best"):
        call()


def put_in(fault: str) -> None:
    """Put one fault into the product."""
    kind, _, rest = fault.partition("=")
    if kind == "after":
        if os.fork() == 0:
            time.sleep(float(rest))
            os.kill(os.getppid(), signal.SIGKILL)
            os._exit(0)
        return
    if kind == "count":
        counts = dict.fromkeys(PLACES, 0)

        def counted(place: str) -> Any:
            def then(n: int, call: Callable[[], Any], args: tuple[Any, ...]) -> Any:
                counts[place] = n
                Path(rest).write_text(json.dumps(counts), encoding="utf-8")
                return call()

            return then

        for place in PLACES:
            at(place, counted(place))
        return
    place, _, number = rest.partition(",")
    if kind == "full":
        import_module("finetune.runs").NEEDED_BYTES = 0
    if kind == "nan":
        spoil(place, int(number))
        return

    if kind == "close":
        reader, writer = os.pipe()
        os.dup2(writer, 1)
        os.close(writer)

    def then(n: int, call: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        if n == int(number):
            if kind == "kill":
                half_done(place, call, args)
                killed()
            elif kind == "full":
                fill(Path(os.environ["TOOLTUNE_RUNS"]))
            else:
                if kind == "close":
                    os.close(reader)
                for _ in range(2 if kind == "twice" else 1):
                    signal.raise_signal({"term": signal.SIGTERM, "close": signal.SIGHUP}.get(kind, signal.SIGINT))
        return call()

    at(place, then)


def fill(folder: Path) -> None:
    """Leave no byte free."""
    with (folder / "filler").open("wb", buffering=0) as f:
        for size in (2**20, 2**12, 1):
            try:
                while f.write(bytes(size)):
                    pass
            except OSError:
                continue


def spoil(where: str, step: int) -> None:
    """Make the loss, a gradient or (after the step) a weight NaN at an optimizer step, or the gradient huge."""
    import torch

    def then(n: int, call: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        loss = call()
        trained = [p for p in args[0].model.parameters() if p.requires_grad]
        if args[0].state.global_step + 1 == step:
            if where == "spike":
                for parameter in trained:
                    parameter.grad *= 1e6
            elif where == "gradient":
                trained[0].grad.view(-1)[0] = float("inf")
            elif where == "loss":
                trained[0].grad.fill_(float("nan"))
                return torch.full_like(loss, float("nan"))
        return loss

    def step_made(n: int, call: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        made = call()
        if n == step:
            args[0].param_groups[0]["params"][0].data.view(-1)[0] = float("nan")
        return made

    if where == "weight":
        at("optimizer", step_made)
    else:
        at("step", then)


def tell_threads() -> None:
    names = [path.read_text(encoding="utf-8").strip() for path in Path("/proc/self/task").glob("*/comm")]
    if left := [name for name in names if "gloo" in name]:
        print("left behind:", *left, file=sys.stderr)


if __name__ == "__main__":
    if "RANK" in os.environ:
        atexit.register(tell_threads)
    else:
        import unsloth  # noqa: F401  (before transformers)

    from finetune.cli import app

    if os.environ.get("FAULT_RANK") == os.environ.get("RANK"):
        put_in(sys.argv[1])
    app(sys.argv[2:])
