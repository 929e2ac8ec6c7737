"""Everything around the card: Python, compiler, memory, disk, network, and what is special on Windows."""

from finetune.doctor.check_result import CheckResult, State, Text
from finetune.doctor.facts import Facts
from finetune.memory.overheads import GIB

CPU_RUN = 14
"""GiB of main memory for the cpu preset: its measured peak is 12.3 (docs/measured/cpu.json)."""
GPU_RUN = 8
"""GiB of main memory beside a GPU: 3 GiB of libraries and 4.6 to merge a 1.5B model later."""
RUN_DISK = 0.5
"""GiB without which a run is refused (finetune/runs.py)."""
FOLDERS = "TEMP, TRITON_CACHE_DIR, TORCHINDUCTOR_CACHE_DIR, HF_HOME"
ROOMY_DISK = 10
"""GiB: a 1.5B model to download (3 GB), checkpoints, and a merged copy."""


def check_machine(facts: Facts) -> list[CheckResult]:
    """The lines about the rest of the machine; those about Windows only there."""
    found = [_python(facts), _compiler(facts), _memory(facts), _disk(facts), _cache(facts), _network(facts)]
    if facts.windows:
        found += [_long_paths(facts), _paths(facts), _encoding(facts)]
    return found


def _find(check: str, state: State, says: Text, mend: Text | None = None) -> CheckResult:
    return CheckResult("machine", check, state, says, mend or Text("", ""))


def _python(facts: Facts) -> CheckResult:
    version = ".".join(map(str, facts.python))
    if (3, 11) <= facts.python[:2] <= (3, 13):
        return _find("python", "fine", Text(version, version))
    return _find(
        "python",
        "fault",
        Text(f"{version}; 3.11, 3.12 or 3.13 is needed", f"{version}. 3.11, 3.12, 3.13 중 하나가 필요합니다"),
        Text("Install one of them and run make setup.", "그중 하나를 설치하고 make setup을 실행하십시오."),
    )


def _compiler(facts: Facts) -> CheckResult:
    probe = facts.compiler
    if not probe.failure:
        path = probe.answer["path"]
        return _find("compiler", "fine", Text(f"{path}, with OpenMP", f"{path}, OpenMP 가능"))
    why = f"{probe.failure} is not found" if probe.missing else probe.failure
    ko = f"{probe.failure} 명령이 없습니다" if probe.missing else probe.failure
    mend = {
        "Windows": Text(
            'Install "Build Tools for Visual Studio" with the C++ workload, and start from its developer prompt.',
            '"Build Tools for Visual Studio"를 C++ 워크로드와 함께 설치하고 개발자 명령 프롬프트에서 실행하십시오.',
        ),
        "Darwin": Text("xcode-select --install; brew install libomp", "xcode-select --install; brew install libomp"),
    }.get(
        facts.system,
        Text("sudo apt install g++ (or your system's package)", "sudo apt install g++ (또는 배포판의 패키지)"),
    )
    return _find(
        "compiler",
        "note" if facts.card else "warning",
        Text(
            f"{why}; on the processor training runs uncompiled and slower",
            f"{ko}. CPU 학습이 컴파일 없이 느리게 실행됩니다",
        ),
        mend,
    )


def _memory(facts: Facts) -> CheckResult:
    free, total = facts.memory_free / GIB, facts.memory_total / GIB
    need = GPU_RUN if facts.card else CPU_RUN
    has = Text(f"{free:.1f} of {total:.1f} GiB free", f"{total:.1f} GiB 중 {free:.1f} GiB 사용 가능")
    if free >= need:
        return _find("memory", "fine", has)
    mend = Text(
        "Close other programs; on a CPU also: train.micro_batch=2 train.accumulation=2",
        "다른 프로그램을 닫고, CPU라면 train.micro_batch=2 train.accumulation=2도 쓰십시오.",
    )
    return _find(
        "memory",
        "fault" if free < 2 else "warning",
        Text(f"{has.en}, a run takes up to {need}", f"{has.ko}, 학습에는 최대 {need} GiB가 듭니다"),
        mend,
    )


def _disk(facts: Facts) -> CheckResult:
    runs, models = facts.disks["runs"] / GIB, facts.disks["models"] / GIB
    has = Text(
        f"{runs:.0f} GiB free for runs, {models:.0f} GiB for models",
        f"학습 결과용 {runs:.0f} GiB, 모델용 {models:.0f} GiB 사용 가능",
    )
    if runs < RUN_DISK:
        state: State = "fault"
    else:
        state = "warning" if min(runs, models) < ROOMY_DISK else "fine"
    mend = Text(
        "Free some space, or point TOOLTUNE_RUNS and HF_HOME at another disk.",
        "공간을 비우거나 TOOLTUNE_RUNS와 HF_HOME을 다른 디스크로 지정하십시오.",
    )
    return _find("disk", state, has, None if state == "fine" else mend)


def _cache(facts: Facts) -> CheckResult:
    if facts.cache_writable:
        return _find("compiled code", "fine", Text(str(facts.cache), str(facts.cache)))
    return _find(
        "compiled code",
        "fault",
        Text(
            f"{facts.cache} cannot be written: Unsloth's compiled code goes there",
            f"{facts.cache}에 쓸 수 없습니다. Unsloth가 컴파일한 코드를 두는 곳입니다",
        ),
        Text("Set XDG_CACHE_HOME to a folder of yours.", "XDG_CACHE_HOME을 쓸 수 있는 폴더로 지정하십시오."),
    )


def _network(facts: Facts) -> CheckResult:
    probe = facts.probes["hub"]
    if facts.offline:
        says = Text(
            "offline, as the environment asks: only models that are here",
            "환경 변수에 따라 오프라인입니다. 이미 받은 모델만 씁니다",
        )
        return _find("network", "note", says)
    if probe.answer.get("reached"):
        return _find("network", "fine", Text("the model hub answers", "모델 허브에 연결됩니다"))
    why = probe.failure or probe.answer.get("why", "")
    return _find(
        "network",
        "note",
        Text(
            f"the model hub does not answer ({why}): only models that are here",
            f"모델 허브에 연결되지 않습니다({why}). 이미 받은 모델만 쓸 수 있습니다",
        ),
        Text(
            "The cpu preset needs no network. For others set HF_HUB_OFFLINE=1, which saves waiting, or give a folder.",
            "cpu 프리셋은 네트워크가 필요 없습니다. 다른 모델은 폴더를 지정하고 HF_HUB_OFFLINE=1로 대기를 없애십시오.",
        ),
    )


def _long_paths(facts: Facts) -> CheckResult:
    if facts.long_paths:
        return _find("long paths", "fine", Text("enabled", "켜져 있습니다"))
    command = "reg add HKLM\\SYSTEM\\CurrentControlSet\\Control\\FileSystem /v LongPathsEnabled /t REG_DWORD /d 1 /f"
    return _find(
        "long paths",
        "warning",
        Text(
            "paths over 260 characters fail; caches of compiled code reach that",
            "260자가 넘는 경로를 쓸 수 없습니다. 컴파일 캐시 경로가 이를 넘기도 합니다",
        ),
        Text(f"As administrator, once: {command}", f"관리자 권한으로 한 번: {command}"),
    )


def _paths(facts: Facts) -> CheckResult:
    """Compilers on Windows read their arguments in the system's code page; a user's name in Hangul is in every path."""
    odd = [str(path) for path in facts.paths.values() if not str(path).isascii()]
    if not odd:
        return _find("paths", "fine", Text("plain ASCII", "영문 경로입니다"))
    return _find(
        "paths",
        "warning",
        Text(
            f"{', '.join(odd)}: compilers may fail on letters outside ASCII",
            f"{', '.join(odd)}: 한글이 들어간 경로에서는 컴파일러가 실패할 수 있습니다",
        ),
        Text(
            f"Keep the project and these in folders such as C:\\tooltune: {FOLDERS}.",
            f"프로젝트와 다음 환경 변수의 폴더를 C:\\tooltune 같은 영문 경로에 두십시오: {FOLDERS}.",
        ),
    )


def _encoding(facts: Facts) -> CheckResult:
    """torch.compile reads its own templates in the system's code page: pytorch#189342, seen with cp949."""
    if facts.utf8:
        return _find("text encoding", "fine", Text("UTF-8", "UTF-8"))
    return _find(
        "text encoding",
        "warning",
        Text(
            "files are read in the system's code page, on which torch.compile can fail",
            "파일을 시스템 코드 페이지(cp949 등)로 읽어 torch.compile이 실패할 수 있습니다",
        ),
        Text("setx PYTHONUTF8 1, then open a new terminal.", "setx PYTHONUTF8 1 실행 후 터미널을 새로 여십시오."),
    )
