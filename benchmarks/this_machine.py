"""What the benchmark runs on, asked in a process of its own: whoever looks at a card with torch may open it, and the
workers should find all of it free.
"""

import json
import subprocess
import sys
from typing import Any

from benchmarks.watch import APART
from tooltune.errors import JobFailed
from tooltune.files import dump_json


def machine() -> dict[str, Any]:
    """`device` (kind, name, memory_gib) and `environment` (versions, driver, commit).

    Raises:
        JobFailed: torch cannot be imported.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.this_machine"], capture_output=True, text=True, encoding="utf-8", **APART
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise JobFailed(f"this machine cannot be examined: {reason}", "pip install -r requirements.txt")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _look() -> dict[str, Any]:
    from finetune.device import detect
    from finetune.runs import environment

    device = detect()
    figures = {"kind": device.kind, "name": device.name, "memory_gib": round(device.memory_gib, 2)}
    return {"device": figures, "environment": environment()}


if __name__ == "__main__":
    print(dump_json(_look()))
