"""What counts as a process's own memory."""

import subprocess
import sys
from pathlib import Path

import psutil

from benchmarks.watch import own_gib

MIB = 2**20
CODE = """
import mmap, sys
file = open(sys.argv[1], "rb")
mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
read = sum(mapped[::4096])
own = bytearray(b"x" * (150 * 2**20))
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_mapped_checkpoint_is_not_a_processs_own(tmp_path: Path) -> None:
    checkpoint = tmp_path / "model.safetensors"
    checkpoint.write_bytes(bytes(300 * MIB))
    with subprocess.Popen(
        [sys.executable, "-S", "-c", CODE, str(checkpoint)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stdin
        assert process.stdout.readline() == "ready\n"
        resident, own = psutil.Process(process.pid).memory_info().rss / 2**30, own_gib(process.pid)
        process.stdin.close()
    assert resident > 0.4
    assert 0.14 < own < 0.25
