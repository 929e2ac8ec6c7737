"""What the doctor looks at. Gathering is here, judging in `card_checks`, `library_checks` and `machine_checks`, so that
a test can judge machines that nobody has."""

import importlib.util
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROBED = ("bitsandbytes", "torch", "triton", "xformers")
LIBRARY_SECONDS = 120.0
"""First imports on a slow disk with a virus scanner take a minute."""
QUICK_SECONDS = 15.0


@dataclass(frozen=True)
class Probe:
    """The answer of a probe, or why there is none.

    Attributes:
        answer: as the probe printed it; empty when it failed.
        failure: empty when it answered; else the error's line, or how the process ended.
        missing: the library is not installed, so nothing was run.
        late: it had not ended when its time was up.
    """

    answer: dict[str, Any] = field(default_factory=dict)
    failure: str = ""
    missing: bool = False
    late: bool = False


@dataclass(frozen=True)
class Facts:
    """A machine. Sizes in bytes.

    Attributes:
        system: platform.system(): Linux, Windows, Darwin.
        wsl: Linux inside Windows.
        packages, pinned: version of each installed and of each constrained package, by lower-case name.
        probes: by name: card, torch, bitsandbytes, xformers, hub; triton only where there is a card.
        memory_total, memory_free: main memory; free is what new processes can have.
        disks: free bytes by what is kept there: `runs`, `models`.
        paths: folders in which compilers and caches work: home, temporary, project.
        compiler: the C++ compiler that torch.compile would take, tried on a file.
        offline: the environment asks for no network.
        long_paths: Windows' LongPathsEnabled; None elsewhere.
        utf8: text files are read as UTF-8 by default.
        cache_writable: the folder of compiled code, or the first of its parents that exists, can be written.
    """

    system: str
    wsl: bool
    python: tuple[int, int, int]
    packages: dict[str, str]
    pinned: dict[str, str]
    probes: dict[str, Probe]
    memory_total: int
    memory_free: int
    disks: dict[str, int]
    paths: dict[str, Path]
    compiler: Probe
    offline: bool
    long_paths: bool | None
    utf8: bool
    cache: Path
    cache_writable: bool

    @property
    def card(self) -> dict[str, Any]:
        """The first card as the probe describes it; empty where there is none."""
        answer = self.probes["card"].answer
        return answer if answer.get("cards") else {}

    @property
    def windows(self) -> bool:
        """Windows itself, not WSL."""
        return self.system == "Windows"


def gather() -> Facts:
    """Look at this machine; some ten seconds, most of them imports in processes of their own."""
    import psutil

    memory = psutil.virtual_memory()
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tooltune"
    return Facts(
        system=platform.system(),
        wsl="microsoft" in platform.release().lower(),
        python=sys.version_info[:3],
        packages=installed(),
        pinned=pinned(ROOT / "pyproject.toml"),
        probes=run_probes(),
        memory_total=memory.total,
        memory_free=memory.available,
        disks=disks(),
        paths={"home": Path.home(), "temporary": Path(tempfile.gettempdir()), "project": ROOT},
        compiler=try_compiler(),
        offline=offline(),
        long_paths=_long_paths() if sys.platform == "win32" else None,
        utf8=bool(sys.flags.utf8_mode) or "utf" in _encoding(),
        cache=cache,
        cache_writable=os.access(_existing(cache), os.W_OK),
    )


def installed() -> dict[str, str]:
    return {d.metadata["Name"].lower().replace("_", "-"): d.version for d in distributions() if d.metadata["Name"]}


def pinned(path: Path) -> dict[str, str]:
    """The tested versions, as `[tool.uv]` of a pyproject.toml pins them; none where there is no such file."""
    if not path.is_file():
        return {}
    lines = tomllib.loads(path.read_text(encoding="utf-8"))["tool"]["uv"]["constraint-dependencies"]
    return {name.lower(): version for name, _, version in (line.partition("==") for line in lines)}


def offline() -> bool:
    """Whether the environment asks for no network."""
    return any(os.environ.get(name, "0") not in ("", "0") for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))


def run_probes() -> dict[str, Probe]:
    """Every probe of this machine, side by side; the hub's only where the environment allows a network."""
    names = [
        *["hub"] * (not offline()),
        *[name for name in PROBED if name != "triton" and importlib.util.find_spec(name)],
    ]
    probes = {name: Probe(missing=True) for name in PROBED if not importlib.util.find_spec(name)}
    probes["hub"] = Probe()
    probes["card"] = probe("card", QUICK_SECONDS) if importlib.util.find_spec("pynvml") else Probe(missing=True)
    if probes["card"].answer.get("cards") and "triton" not in probes:
        names.append("triton")
    with ThreadPoolExecutor(3) as pool:
        found = pool.map(lambda name: probe(name, QUICK_SECONDS if name == "hub" else LIBRARY_SECONDS), names)
        return probes | dict(zip(names, found, strict=True))


def probe(name: str, seconds: float) -> Probe:
    return ask([sys.executable, "-m", "finetune.doctor.library_probes", name], seconds)


def ask(command: list[str], seconds: float) -> Probe:
    """The JSON that a command prints last; a crash or a hang becomes a failure with a reason."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return Probe(failure=f"no answer within {seconds:.0f} s", late=True)
    if done.returncode:
        return Probe(failure=ending(done.returncode))
    lines = done.stdout.decode(errors="replace").splitlines()
    answer = json.loads(next(line for line in reversed(lines) if line.startswith("{")))
    return Probe(failure=answer["error"]) if "error" in answer else Probe(answer)


def ending(code: int) -> str:
    """How a process ended, from its exit code: a signal on Linux, an NTSTATUS on Windows."""
    if code < 0:
        return f"the process crashed ({signal.Signals(-code).name})"
    return f"the process crashed ({code:#x})" if code > 255 else f"the process ended with code {code}"


def try_compiler() -> Probe:
    """Compile one file with OpenMP, as torch.compile does on a CPU (torch/_inductor/cpp_builder.py)."""
    windows = sys.platform == "win32"
    name = os.environ.get("CXX") or ("cl" if windows else "g++")
    path = shutil.which(name)
    if not path:
        return Probe(failure=name, missing=True)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "probe.cpp"
        source.write_text("#include <omp.h>\nint f() { return omp_get_max_threads(); }\n", encoding="ascii")
        options = ["/nologo", "/openmp", "/c"] if windows else ["-fopenmp", "-c"]
        try:
            done = subprocess.run([path, *options, str(source)], cwd=folder, capture_output=True, timeout=60)
        except subprocess.TimeoutExpired:
            return Probe(failure=f"{path}: no answer within 60 s")
    return Probe({"path": path}) if not done.returncode else Probe(failure=f"{path}: exit code {done.returncode}")


def disks() -> dict[str, int]:
    """Free bytes where runs and downloaded models are kept."""
    from tooltune.run import runs_dir

    models = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    return {name: shutil.disk_usage(_existing(path)).free for name, path in (("runs", runs_dir()), ("models", models))}


def _existing(path: Path) -> Path:
    path = path.absolute()
    return next(p for p in (path, *path.parents) if p.exists())


def _encoding() -> str:
    import locale

    return locale.getpreferredencoding(False).lower()


def _long_paths() -> bool:
    if sys.platform != "win32":  # for the type checker: winreg is Windows' own
        return True
    import winreg

    with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem") as key:
        return bool(winreg.QueryValueEx(key, "LongPathsEnabled")[0])
