"""The report on the terminal and as JSON."""

import os
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from finetune.doctor.check_result import CheckResult, Group, Language, State, Text

GROUPS: dict[Group, Text] = {
    "card": Text("Graphics card", "그래픽 카드"),
    "libraries": Text("Libraries", "라이브러리"),
    "machine": Text("Machine", "시스템"),
}
COLOURS: dict[State, str] = {"fine": "green", "note": "cyan", "warning": "yellow", "fault": "red"}
SIGNS: dict[State, str] = {"fine": "✓", "note": "·", "warning": "!", "fault": "✗"}
WORDS: dict[State, Text] = {
    "fine": Text("fine", "정상"),
    "note": Text("note", "참고"),
    "warning": Text("warning", "주의"),
    "fault": Text("fault", "문제"),
}
CHECKS = {
    "card": "카드",
    "driver": "드라이버",
    "generation": "세대",
    "precision": "정밀도",
    "memory": "메모리",
    "VRAM": "VRAM",
    "in use": "사용 중",
    "shared memory": "공유 메모리",
    "versions": "버전",
    "python": "Python",
    "compiler": "C++ 컴파일러",
    "disk": "디스크",
    "compiled code": "컴파일 캐시",
    "network": "네트워크",
    "long paths": "긴 경로",
    "paths": "경로",
    "text encoding": "문자 인코딩",
}
"""Korean names of the checks; libraries keep their own."""


def system_language() -> Language:
    """Korean where the system speaks it: Windows' display language, or LC_ALL, LC_MESSAGES, LANG elsewhere."""
    if sys.platform == "win32":
        import ctypes

        return "ko" if ctypes.windll.kernel32.GetUserDefaultUILanguage() & 0x3FF == 0x12 else "en"
    said = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    return "ko" if said.startswith("ko") else "en"


def print_report(console: Console, findings: list[CheckResult], language: Language) -> None:
    """A table a group; under a line, what mends it; a sum at the end."""
    plain = console.options.ascii_only
    for group, title in GROUPS.items():
        console.print(f"\n[bold]{title(language)}[/bold]")
        table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
        table.add_column(no_wrap=True, min_width=9)
        table.add_column(no_wrap=True, min_width=13)
        table.add_column(overflow="fold")
        for found in findings:
            if found.group != group:
                continue
            sign = "" if plain else SIGNS[found.state] + " "
            name = CHECKS.get(found.check, found.check) if language == "ko" else found.check
            colour = COLOURS[found.state]
            table.add_row(f"[{colour}]{sign}{WORDS[found.state](language)}[/]", name, escape(found.says(language)))
            if found.mend.en:
                table.add_row("", "", f"[dim]{'->' if plain else '→'} {escape(found.mend(language))}[/dim]")
        console.print(table)
    console.print("\n" + summary(findings)(language))


def summary(findings: list[CheckResult]) -> Text:
    """The last line: whether a run can start."""
    faults, warnings = (sum(f.state == state for f in findings) for state in ("fault", "warning"))
    if faults:
        return Text(
            f"Faults to mend before a run: {faults}. Warnings: {warnings}.",
            f"학습 전에 고칠 문제 {faults}건, 주의 {warnings}건.",
        )
    if warnings:
        return Text(f"Ready: make train. Warnings: {warnings}.", f"준비되었습니다: make train. 주의 {warnings}건.")
    return Text("Ready: make train.", "준비되었습니다: make train.")


def as_json(findings: list[CheckResult], language: Language) -> dict[str, Any]:
    """For scripts: the fixed names of groups, checks and states, and the sentences."""
    lines = [
        {"group": f.group, "check": f.check, "state": f.state, "says": f.says(language), "mend": f.mend(language)}
        for f in findings
    ]
    return {"ready": not any(f.state == "fault" for f in findings), "findings": lines}
