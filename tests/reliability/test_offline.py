"""Without a network: in a namespace that has the loopback alone, and with every name that is looked up written down.

HF_HUB_OFFLINE is not set: nothing is to be asked for even where one could.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.finetune.tiny_run import make_run
from tests.tiny import FIXTURES, ROOT, TINY

GUARD = """
import os, sys

HERE = {"", "localhost", "127.0.0.1", "::1", "0.0.0.0", "::"}

def guard(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host and host not in HERE and not str(host).startswith("127."):
        with open(os.environ["ASKED"], "a") as f:
            f.write(f"{event} {host} {sys.argv[:3]}\\n")
        raise OSError("no network")

sys.addaudithook(guard)
"""
ALONE = ["unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"]
"""A network namespace of its own, with the loopback and nothing else."""
TOLD = {
    *("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DISABLE_TELEMETRY", "DO_NOT_TRACK"),
    *("UNSLOTH_DISABLE_STATISTICS", "WANDB_MODE"),
}
"""Variables that would keep the libraries from asking: they are taken out."""


def alone() -> list[str]:
    """The words before a command that take its network away; none where the system does not let them."""
    if not shutil.which("unshare") or not shutil.which("ip"):
        return []
    return ALONE if subprocess.run([*ALONE, "true"], capture_output=True).returncode == 0 else []


class Offline:
    """A folder in which commands run without a network.

    Attributes:
        asked: what was looked up, a line each; it is not there as long as nothing was.
    """

    def __init__(self, cwd: Path) -> None:
        self.cwd, self.asked, self.before = cwd, cwd / "asked.txt", alone()
        (cwd / "guard").mkdir()
        (cwd / "guard" / "sitecustomize.py").write_text(GUARD, encoding="utf-8")
        path = [str(cwd / "guard"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.env = {key: value for key, value in os.environ.items() if key not in TOLD} | {
            "PYTHONPATH": os.pathsep.join(path),
            "TOOLTUNE_RUNS": str(cwd / "runs"),
            "HF_HOME": str(cwd / "cache"),
            "ASKED": str(self.asked),
        }

    def run(self, *words: str) -> str:
        """What `python …` says; fails where the command does, or where it looked a name up."""
        command = [*self.before, sys.executable, *words]
        done = subprocess.run(command, cwd=self.cwd, env=self.env, capture_output=True, text=True, timeout=900)
        said = done.stdout + done.stderr
        asked = self.asked.read_text(encoding="utf-8") if self.asked.exists() else ""
        assert not asked, f"{words} asked for\n{asked}{said}"
        log = "".join(path.read_text(encoding="utf-8")[-3000:] for path in (self.cwd / "runs").glob("alone*/log.txt"))
        assert done.returncode == 0, f"{words}\n{said}\n--- log\n{log}"
        return said


def test_a_name_that_is_looked_up_is_seen(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"getaddrinfo example\.com"):
        Offline(tmp_path).run("-c", "import socket; socket.create_connection(('example.com', 80))")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["unsloth", "hf"])
def test_a_run_from_its_rows_to_its_export(tmp_path: Path, tiny_model: Path, backend: str) -> None:
    run = Offline(tmp_path).run
    rows, model = str(FIXTURES / "train.jsonl"), f"model.name={tiny_model}"
    settings = ["cpu", *TINY, model, f"model.backend={backend}"]
    assert "Fit to train on" in run("-m", "data", "check", rows, "--tokenizer", str(tiny_model))
    run("-m", "finetune", "plan", *settings)
    run("-m", "finetune", "preview", *settings, "--rows", "1")
    said = run("-m", "finetune", "train", *settings, "name=alone", "train.max_steps=2", "eval.generate=2")
    assert "Best: step" in said
    assert "Every answer" in run("-m", "eval", "run", "alone", "--split", "validation", "--limit", "2")
    assert "Written" in run("-m", "finetune", "report", "alone", "--no-open")
    run("-m", "finetune", "runs")
    run("-m", "finetune", "ask", "alone", "8번 절점")
    assert "Proof" in run("-m", "finetune", "export", "alone", "--to", "merged", "--rows", "2")


SERVED = """
import json, signal, subprocess, sys, urllib.request

command = [sys.executable, "-u", "-m", "finetune", "serve", "alone", "--port", "0", "--type", "f16", "--context", "512"]
with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
    url = next(line for line in server.stdout if line.startswith("Serving")).split(" at ")[1].split()[0]
    body = {"messages": [{"role": "user", "content": "8번 절점"}], "max_tokens": 4}
    head = {"Content-Type": "application/json"}
    request = urllib.request.Request(url + "/chat/completions", json.dumps(body).encode(), head)
    with urllib.request.urlopen(request, timeout=300) as answer:
        print("Answered by the", json.load(answer)["choices"][0]["message"]["role"])
    server.send_signal(signal.SIGINT)
    sys.exit(server.wait(60))
"""
"""The server is asked from inside: no other process reaches its loopback."""


@pytest.mark.slow
def test_a_run_is_served(tmp_path: Path, tiny_model: Path) -> None:
    pytest.importorskip("xllamacpp", reason="needs the extra `llama`")
    make_run(tmp_path / "runs" / "alone", tiny_model)
    assert "Answered by the assistant" in Offline(tmp_path).run("-c", SERVED)
