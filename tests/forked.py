"""Commands in processes that are forked from one that has imported the libraries already.

Importing Unsloth takes ten seconds of a processor, training the tiny model three. Each pytest process keeps a server
with Unsloth and one without, from the first use on. A forked process is the command itself: with its own arguments,
environment, folder, input and output, and it ends as it would have ended. It shares the seed of `hash` with the others
of its server. It draws no pictures, except in tests of reliability, and measures the processor for a moment only. CUDA
outlives no fork, so that with a GPU, and where nothing can be forked, every process is a fresh one.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from finetune.device import has_cuda

ROOT = Path(__file__).parent.parent
LIBRARIES = ("torch", "peft", "trl", "datasets", "bitsandbytes", "torch.utils.tensorboard", "plotly.graph_objects")
OWN = ("finetune.cli", "finetune.report", "finetune.trainer", "finetune.train", "eval.cli", "eval.run")


def run(
    words: list[str],
    *,
    cwd: Path,
    env: dict[str, str],
    unsloth: bool,
    fresh: bool = False,
    typed: str = "",
    timeout: float = 600,
) -> "subprocess.CompletedProcess[str]":
    """Run `python` with such words, `-m MODULE …` or `-c CODE …`, and wait for it.

    Args:
        unsloth: whether the command imports it, which it must do first.
        fresh: start it, as a user does.
        typed: its standard input.
        timeout: seconds, after which it is killed.

    Raises:
        TimeoutError, subprocess.TimeoutExpired: it was.
    """
    if fresh or sys.platform != "linux" or has_cuda():
        command = [sys.executable, *words]
        return subprocess.run(
            command, cwd=cwd, env=env, input=typed, capture_output=True, text=True, encoding="utf-8", timeout=timeout
        )
    line = _server(unsloth)
    line.settimeout(None)
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(typed.encode())
        given.seek(0)
        request = json.dumps({"words": words, "cwd": str(cwd), "env": env}).encode()
        socket.send_fds(line, [request], [given.fileno(), out.fileno(), err.fileno()])
        pid = int(line.recv(32))
        line.settimeout(timeout)
        try:
            status = int(line.recv(32))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            line.settimeout(None)
            line.recv(32)
            raise
        out.seek(0)
        err.seek(0)
        said = [stream.read().decode() for stream in (out, err)]
    return subprocess.CompletedProcess(words, os.waitstatus_to_exitcode(status), *said)


@functools.cache
def _server(unsloth: bool) -> socket.socket:
    """The line to a server, which ends when it is closed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "tests.forked", str(theirs.fileno()), "unsloth" if unsloth else "plain"]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    theirs.close()
    atexit.register(process.wait, 60)
    atexit.register(ours.close)
    return ours


def _serve(line: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Fork a process for each request; comes back in these alone, with the request and its three streams."""
    while True:
        message, streams, *_ = socket.recv_fds(line, 2**20, 3)
        if not message:
            sys.exit()
        if (pid := os.fork()) == 0:
            line.close()
            return json.loads(message), streams
        line.send(str(pid).encode())
        for stream in streams:
            os.close(stream)
        line.send(str(os.waitpid(pid, 0)[1]).encode())


def _become(words: list[str], cwd: str, env: dict[str, str], streams: list[int]) -> None:
    """Be `python` with such words."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(env | {"OMP_NUM_THREADS": "1"})
    os.chdir(cwd)
    sys.path[0] = cwd
    kind, what, *arguments = words
    if "tests/reliability" not in env.get("PYTEST_CURRENT_TEST", ""):
        sys.modules["finetune.report"].write_plots = lambda run: []
        sys.modules["finetune.rate"].matmul_rate.__kwdefaults__["seconds"] = 0.01
    sys.argv = [what if kind == "-m" else kind, *arguments]
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})


if __name__ == "__main__":
    if sys.argv[2] == "unsloth":
        from eval.backend import start_unsloth

        start_unsloth()
    for library in (*LIBRARIES, *OWN):
        importlib.import_module(library)
    gc.freeze()  # a collection would touch, and so copy, what all of them share
    request, streams = _serve(socket.socket(fileno=int(sys.argv[1])))
    _become(**request, streams=streams)
