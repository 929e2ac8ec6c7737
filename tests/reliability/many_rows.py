"""How many rows are held: time and memory of reading, checking and tokenising them, and of a second start.

    python -m tests.reliability.many_rows 200000 [MODEL]

Rows are the bundled training rows again and again, each with an id and a number in its request of its own. Every stage
is a process of its own, so that its peak is its own: all that was resident (pages of mapped files included, which the
system takes back when it needs them), and what was its own alone (anonymous memory, which it cannot).
"""

import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tooltune.config import Config, load_config
from tooltune.files import dump_json, read_jsonl

SOURCE = Path(__file__).parent.parent.parent / "data" / "structural"
MIB = 2**20


def write_rows(path: Path, count: int) -> None:
    """A file of so many rows, all different."""
    rows = [row for _, row in read_jsonl(SOURCE / "train.jsonl")]
    with path.open("w", encoding="utf-8") as file:
        for number, row in enumerate(islice(cycle(rows), count)):
            messages = [
                m | {"content": f"{m['content']} ({number})"} if m["role"] == "user" else m for m in row["messages"]
            ]
            file.write(dump_json(row | {"id": f"many-{number:06}", "messages": messages}) + "\n")


def config_of(path: Path, model: str) -> Config:
    """The CPU preset on these rows."""
    validation = SOURCE / "validation.jsonl"
    return load_config("cpu", [f"model.name={model}", f"data.train={path}", f"data.validation={validation}"])


def read(path: Path, model: str) -> None:
    """Read and validate, as every command begins."""
    from finetune.rows import read_rows

    read_rows(config_of(path, model))


def tokenise(path: Path, model: str) -> None:
    """All that a run makes of rows before its model is loaded: tokens, families, batches, steps."""
    from finetune.device import Device
    from finetune.length import run_length
    from finetune.packing import make_packing
    from finetune.rows import prepare, read_rows

    config = config_of(path, model)
    prepared = prepare(config, read_rows(config), print)
    rows = prepared.train.examples
    packing = make_packing(config, Device("cpu", "", (0, 0), 0, True), "float32", "gemma3_text", rows)
    length = run_length(config, rows, packing)
    print(f"{len(rows)} rows, {length.tokens:,} tokens, {length.computed:,} computed, {length.steps} steps")


def check(path: Path, model: str) -> None:
    """`python -m data check`."""
    from data.check import check_files

    report = check_files([path, SOURCE / "validation.jsonl"], model)
    print("; ".join(f"{finding.what} × {finding.count}" for finding in report.findings))


STAGES: dict[str, Callable[[Path, str], None]] = {"read": read, "tokenise": tokenise, "check": check}


def measure(stage: str, path: Path, model: str) -> dict[str, Any]:
    """Run a stage in this process; seconds, and peaks in MiB."""
    own = [0]

    def watch() -> None:
        while True:
            lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
            own[0] = max(own[0], *(int(line.split()[1]) for line in lines if line.startswith("RssAnon")))
            time.sleep(0.1)

    threading.Thread(target=watch, daemon=True).start()
    started, busy = time.perf_counter(), time.process_time()
    STAGES[stage](path, model)
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(time.process_time() - busy, 1),
        "resident_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "own_mib": own[0] // 1024,
    }


def measure_apart(stage: str, path: Path, model: str, environment: dict[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Run a stage in a process of its own; its figures, and what it printed."""
    words = [sys.executable, "-m", "tests.reliability.many_rows", "--stage", stage, str(path), model]
    done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    *said, last = done.stdout.splitlines()
    return json.loads(last), said


def main(count: int, model: str) -> None:
    """Measure every stage, those that keep something twice; a line each."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        write_rows(path, count)
        print(f"{count} rows, {path.stat().st_size / MIB:,.0f} MiB", flush=True)
        environment = os.environ | {"TOOLTUNE_CACHE": str(Path(folder) / "cache"), "HF_HUB_OFFLINE": "1"}
        for stage in ("read", "read", "tokenise", "tokenise", "check"):
            figures, said = measure_apart(stage, path, model, environment)
            rate = round(count / figures["seconds"])
            print(dump_json({"stage": stage, "rows_per_second": rate} | figures), *said[-1:], flush=True)
        kept = sum(p.stat().st_size for p in (Path(folder) / "cache").rglob("*") if p.is_file())
        print(f"kept on disk: {kept / MIB:,.0f} MiB")


if __name__ == "__main__":
    if sys.argv[1] == "--stage":
        print(dump_json(measure(sys.argv[2], Path(sys.argv[3]), sys.argv[4])))
    else:
        main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "embedded")
