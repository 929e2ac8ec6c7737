"""Rows of a spreadsheet as rows to train on: `python examples/from_spreadsheet.py requests.csv tools.json mine.jsonl`.

The sheet is saved as "CSV UTF-8". Its columns, by an English or a Korean heading: `request` (요청), `calls` (호출: one
call or a list of them as JSON, empty where none is right) and `answer` (답: the text where none is right). The tools
are one JSON list of function schemas, offered with every row.
"""

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

KOREAN = {"요청": "request", "호출": "calls", "답": "answer"}
CALL = '{"name": "add_nodal_load", "arguments": {"node_id": 8, "direction": "Y", "value": 15}}'


def rows(sheet: Path, tools: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every row of the sheet that has a request; ends the program at the first that cannot be read."""
    try:
        text = sheet.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        sys.exit(f'error: {sheet} is not UTF-8; save it in Excel as "CSV UTF-8 (Comma delimited)" (쉼표로 분리)')
    except OSError as e:
        sys.exit(f"error: {sheet} cannot be read ({e.strerror}); check the path")
    for number, cells in enumerate(csv.DictReader(io.StringIO(text)), 2):  # as Excel counts: the headings are row 1
        row = {KOREAN.get(str(name), str(name)): cell or "" for name, cell in cells.items()}
        if "request" not in row or "calls" not in row:
            sys.exit(f"error: {sheet}: head the columns request, calls, answer (요청, 호출, 답), not {', '.join(row)}")
        if request := row["request"].strip():
            user = {"role": "user", "content": request}
            yield {"id": f"r{number}", "messages": [user, answer(row, f"{sheet}, row {number}")], "tools": tools}


def answer(row: dict[str, str], where: str) -> dict[str, Any]:
    """The turn that is learnt: calls, or text."""
    if not row["calls"].strip():
        return {"role": "assistant", "content": row.get("answer", "").strip()}
    try:
        calls = json.loads(row["calls"])
    except json.JSONDecodeError as e:
        sys.exit(f"error: {where}: the calls are not JSON ({e}): {row['calls']}\nwrite them as {CALL}, quotes straight")
    listed = calls if isinstance(calls, list) else [calls]
    return {"role": "assistant", "tool_calls": [{"type": "function", "function": call} for call in listed]}


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sheet, tools, out = map(Path, sys.argv[1:])
    try:
        offered = json.loads(tools.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as e:
        sys.exit(f"error: {tools} has no tools to read ({e}); write a JSON list of function schemas")
    found = list(rows(sheet, offered))
    out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found), encoding="utf-8")
    print(f"{len(found)} rows written. Next: python -m data check {out}")
