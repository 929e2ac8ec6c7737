"""The doctor on machines that nobody has, and once on this one."""

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from finetune.cli import app
from finetune.doctor import facts as looking
from finetune.doctor import show
from finetune.doctor.check_result import CheckResult
from finetune.doctor.examine import examine
from finetune.doctor.facts import Facts, Probe, ask, pinned
from tooltune.words import system_language

GIB = 2**30
CARD = {
    "cards": 1,
    "name": "NVIDIA GeForce RTX 3060 Laptop GPU",
    "driver": "572.16",
    "cuda": 12080,
    "capability": [8, 6],
    "free": int(5.8 * GIB),
    "total": 6 * GIB,
    "users": [{"pid": 7, "name": "gnome-shell", "bytes": 200 * 2**20}],
}
PINNED = {"torch": "2.10.0", "unsloth": "2026.10.9", "transformers": "5.17.0"}
PACKAGES = dict.fromkeys(("trl", "peft", "datasets", "bitsandbytes"), "1") | PINNED | {"torch": "2.10.0+cu128"}
NO_TRL = {name: version for name, version in PACKAGES.items() if name != "trl"}
RIGHT = {"device": "cuda", "kernel": 0.003, "loss": 0.09, "gradient": 0.003}
GOOD = Facts(
    system="Linux",
    wsl=False,
    python=(3, 12, 1),
    packages=PACKAGES,
    pinned=PINNED,
    probes={
        "card": Probe(CARD),
        "torch": Probe({"cuda": "12.8", "available": True, "architectures": ["sm_86"], "product": 64.0}),
        "bitsandbytes": Probe(RIGHT),
        "triton": Probe({"sum": 1000.0}),
        "xformers": Probe({"loads": True, "distance": 0.001}),
        "hub": Probe({"address": "https://hub", "reached": True}),
    },
    memory_total=16 * GIB,
    memory_free=12 * GIB,
    disks={"runs": 100 * GIB, "models": 100 * GIB},
    paths={"home": Path("/home/kim"), "temporary": Path("/tmp"), "project": Path("/home/kim/tooltune")},
    compiler=Probe({"path": "/usr/bin/g++"}),
    offline=False,
    long_paths=None,
    utf8=True,
    cache=Path("/home/kim/.cache/tooltune"),
    cache_writable=True,
)


def with_card(**more: Any) -> Facts:
    return replace(GOOD, probes=GOOD.probes | {"card": Probe(CARD | more)})


def with_probe(**probes: Probe) -> Facts:
    return replace(GOOD, probes=GOOD.probes | probes)


def finding(facts: Facts, check: str, group: str | None = None) -> CheckResult:
    return next(f for f in examine(facts) if f.check == check and group in (None, f.group))


def windows(**more: Any) -> Facts:
    return replace(GOOD, system="Windows", long_paths=True, **more)


def test_a_good_machine_has_nothing_to_mend() -> None:
    findings = examine(GOOD)
    assert {f.state for f in findings} == {"fine"}
    assert not any(f.mend("en") for f in findings)
    assert "fits: 3gb-gemma3, 4gb, 4gb-qwen3, 6gb, 6gb-7b, 6gb-qwen35" in finding(GOOD, "VRAM").says("en")


OTHER_TORCH = {"loads": False, "why": "built for 2.9"}
WRONG_TORCH = {"cuda": "12.8", "available": True, "product": 0.0}
CPU_TORCH = {"cuda": None, "available": False, "architectures": []}
CASES: list[tuple[str, str, str, Facts]] = [
    ("old driver", "driver", "fault", with_card(cuda=11040, driver="472.12")),
    ("newer CUDA than torch's", "driver", "fine", with_card(cuda=13000)),
    ("Pascal", "generation", "fault", with_card(name="GeForce GTX 1060", capability=[6, 1])),
    ("GTX 16xx", "generation", "warning", with_card(name="GeForce GTX 1660 Ti", capability=[7, 5])),
    ("Turing", "precision", "warning", with_card(name="GeForce RTX 2060", capability=[7, 5])),
    ("Ampere", "precision", "fine", GOOD),
    ("1.5 GiB free", "VRAM", "fault", with_card(free=int(1.5 * GIB))),
    ("2.1 GiB free", "VRAM", "warning", with_card(free=int(2.1 * GIB), name="GeForce RTX 2060", capability=[7, 5])),
    ("a game on the card", "in use", "warning", with_card(free=3 * GIB)),
    ("no card", "card", "note", with_probe(card=Probe(failure="NVMLError"))),
    ("no pynvml", "card", "warning", with_probe(card=Probe(missing=True))),
    ("torch missing", "torch", "fault", with_probe(torch=Probe(missing=True))),
    ("torch crashes", "torch", "fault", with_probe(torch=Probe(failure="crashed"))),
    ("torch is slow to load", "torch", "fault", with_probe(torch=Probe(failure="no answer within 120 s", late=True))),
    ("torch without CUDA", "torch", "fault", with_probe(torch=Probe(CPU_TORCH))),
    ("torch does not see the card", "torch", "fault", with_probe(torch=Probe(CPU_TORCH | {"cuda": "12.8"}))),
    ("torch computes wrongly", "torch", "fault", with_probe(torch=Probe(WRONG_TORCH))),
    ("a library missing", "versions", "fault", replace(GOOD, packages=NO_TRL)),
    ("another version", "versions", "warning", replace(GOOD, packages=PACKAGES | {"unsloth": "2026.1.1"})),
    ("no constraints", "versions", "note", replace(GOOD, pinned={})),
    ("bitsandbytes missing", "bitsandbytes", "fault", with_probe(bitsandbytes=Probe(missing=True))),
    ("bitsandbytes crashes", "bitsandbytes", "fault", with_probe(bitsandbytes=Probe(failure="crashed (SIGSEGV)"))),
    ("4-bit product wrong", "bitsandbytes", "fault", with_probe(bitsandbytes=Probe(RIGHT | {"kernel": 0.4}))),
    ("4-bit product NaN", "bitsandbytes", "fault", with_probe(bitsandbytes=Probe(RIGHT | {"kernel": float("nan")}))),
    ("4-bit gradient wrong", "bitsandbytes", "fault", with_probe(bitsandbytes=Probe(RIGHT | {"gradient": 0.9}))),
    ("4-bit weights wrong", "bitsandbytes", "fault", with_probe(bitsandbytes=Probe(RIGHT | {"loss": 0.7}))),
    ("triton missing", "triton", "fault", with_probe(triton=Probe(missing=True))),
    ("triton cannot compile", "triton", "fault", with_probe(triton=Probe(failure="RuntimeError"))),
    ("triton wrong", "triton", "fault", with_probe(triton=Probe({"sum": 3.0}))),
    ("xformers for another torch", "xformers", "note", with_probe(xformers=Probe(OTHER_TORCH))),
    ("xformers wrong", "xformers", "note", with_probe(xformers=Probe({"loads": True, "distance": 0.5}))),
    ("old Python", "python", "fault", replace(GOOD, python=(3, 10, 4))),
    ("no compiler beside a card", "compiler", "note", replace(GOOD, compiler=Probe(failure="g++", missing=True))),
    ("little memory", "memory", "warning", replace(GOOD, memory_free=5 * GIB)),
    ("no memory", "memory", "fault", replace(GOOD, memory_free=1 * GIB)),
    ("no disk for runs", "disk", "fault", replace(GOOD, disks={"runs": GIB // 4, "models": 90 * GIB})),
    ("little disk for models", "disk", "warning", replace(GOOD, disks={"runs": 90 * GIB, "models": 3 * GIB})),
    ("cache of another user", "compiled code", "fault", replace(GOOD, cache_writable=False)),
    ("no network", "network", "note", with_probe(hub=Probe({"reached": False, "why": "timed out"}))),
    ("hub hangs", "network", "note", with_probe(hub=Probe(failure="no answer within 15 s"))),
    ("offline on purpose", "network", "note", replace(GOOD, offline=True)),
    ("short paths", "long paths", "warning", replace(windows(), long_paths=False)),
    ("a user's name in Hangul", "paths", "warning", windows(paths={"home": Path("C:/Users/김철수")})),
    ("cp949", "text encoding", "warning", windows(utf8=False)),
    ("WDDM", "shared memory", "note", windows()),
    ("WSL", "shared memory", "note", replace(GOOD, wsl=True)),
]  # fmt: skip


@pytest.mark.parametrize(("check", "state", "facts"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_each_line_says(check: str, state: str, facts: Facts) -> None:
    found = finding(facts, check)
    assert found.state == state
    assert bool(found.says("ko")) and bool(found.mend("ko")) == bool(found.mend("en"))
    if state == "fault":
        assert found.mend("en"), "a fault without a mend helps nobody"


def test_a_turing_card_misses_xformers_and_a_newer_one_does_not() -> None:
    broken = {"xformers": Probe(OTHER_TORCH)}
    turing = with_card(name="GeForce RTX 2060", capability=[7, 5])
    found = finding(replace(turing, probes=turing.probes | broken), "xformers")
    assert found.state == "warning" and "8 to 21 %" in found.says("en")


def test_windows_mends_are_for_windows() -> None:
    facts = windows(probes=GOOD.probes | {"triton": Probe(missing=True)}, compiler=Probe(failure="cl", missing=True))
    assert "triton-windows" in finding(facts, "triton").mend("en")
    assert "Visual Studio" in finding(facts, "compiler").mend("en")


def test_without_a_card_a_cpu_run_needs_a_compiler_and_more_memory() -> None:
    facts = with_probe(card=Probe(failure="no driver"), bitsandbytes=Probe(RIGHT | {"device": "cpu"}))
    facts = replace(facts, compiler=Probe(failure="g++", missing=True))
    assert finding(facts, "compiler").state == "warning"
    assert finding(facts, "memory").state == "fine"
    facts = replace(facts, memory_free=9 * 2**30)
    assert finding(facts, "memory").state == "warning", "9 GiB free are enough beside a card only"
    assert "triton" in {f.check for f in examine(facts) if f.state == "note"}


def test_half_of_everything_missing_is_a_report_all_the_same() -> None:
    gone = {name: Probe(missing=True) for name in ("card", "torch", "bitsandbytes", "triton", "xformers")}
    facts = replace(GOOD, packages={}, pinned={}, probes=gone | {"hub": Probe()})
    assert {f.check for f in examine(facts) if f.state == "fault"} == {"versions", "torch", "bitsandbytes"}


@pytest.mark.parametrize(
    ("code", "seconds", "failure"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", 30, "SIGSEGV"),
        ("import time; time.sleep(60)", 0.5, "no answer within"),
        ("raise SystemExit(3)", 30, "code 3"),
        ("print('noise'); print('{\"error\": \"ImportError: no kernel\"}')", 30, "ImportError: no kernel"),
    ],
    ids=["segfault", "hang", "exit", "exception"],
)
def test_a_probe_that_ends_badly_is_a_line(code: str, seconds: float, failure: str) -> None:
    found = ask([sys.executable, "-c", code], seconds)
    assert failure in found.failure and found.late is (seconds < 1)


def test_noise_around_an_answer_is_ignored() -> None:
    code = "print('loading'); print('{\"sum\": 2}'); print('bye')"
    assert ask([sys.executable, "-c", code], 30).answer == {"sum": 2}


def test_windows_exit_codes_of_a_crash_are_read() -> None:
    assert "0xc0000005" in looking.ending(0xC0000005)


def test_constraints_are_read_without_comments(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    pins = '# tested\n[tool.uv]\nconstraint-dependencies = [\n"Torch==2.10.0", # CUDA 12.8\n\n"trl==1.15.0",\n]\n'
    path.write_text(pins, encoding="utf-8")
    assert pinned(path) == {"torch": "2.10.0", "trl": "1.15.0"}
    assert pinned(tmp_path / "nowhere") == {}


@pytest.mark.parametrize(
    ("environment", "language"),
    [({"LANG": "ko_KR.UTF-8"}, "ko"), ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C"}, "en"), ({}, "en")],
)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has a display language")
def test_the_language_is_the_systems(
    environment: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert system_language() == language


@pytest.mark.parametrize(("facts", "code"), [(GOOD, 0), (with_card(cuda=11040), 1)], ids=["ready", "a fault"])
def test_the_exit_code_says_whether_a_run_can_start(facts: Facts, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "gather", lambda: facts)
    assert CliRunner().invoke(app, ["doctor"]).exit_code == code
    result = CliRunner().invoke(app, ["doctor", "--json", "--lang", "ko"])
    assert result.exit_code == code
    answer = json.loads(result.output)
    assert answer["ready"] is not bool(code)
    assert any("드라이버" in line["says"] for line in answer["findings"])


def test_names_of_programs_and_errors_are_not_markup() -> None:
    facts = with_card(users=[{"pid": 7, "name": "[bold]a game[/bold]", "bytes": None}])
    facts = replace(facts, probes=facts.probes | {"triton": Probe(failure="[/nonsense]")})
    console = Console(width=120, record=True, file=io.StringIO())
    show.print_report(console, examine(facts), "en")
    text = console.export_text()
    assert "[bold]a game[/bold] (7)" in text and "[/nonsense]" in text


@pytest.mark.slow
def test_this_machine_is_examined_for_real(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    result = CliRunner().invoke(app, ["doctor", "--json", "--lang", "en"])
    found = {line["check"]: line for line in json.loads(result.output)["findings"]}
    assert found["python"]["state"] == found["torch"]["state"] == found["bitsandbytes"]["state"] == "fine"
    assert "product and gradient are right" in found["bitsandbytes"]["says"]
    assert found["network"]["state"] == "note"
    faults = [line for line in found.values() if line["state"] == "fault"]
    assert result.exit_code == bool(faults)


def test_the_probe_kernel_compiles_for_a_card() -> None:
    """Triton compiles for a card that is not here, so that a kernel it refuses is not taken for a fault of the card."""
    compiler = pytest.importorskip("triton.compiler")
    from triton.backends.compiler import GPUTarget

    from finetune.doctor.kernel import _add_one

    source = compiler.ASTSource(_add_one, {"pointer": "*fp32", "n": "i32", "BLOCK": "constexpr"}, {"BLOCK": 256})
    assert "ptx" in compiler.compile(source, target=GPUTarget("cuda", 80, 32)).asm
