"""What is typed at a chat besides requests: `/tools`, `/undo` and the like."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from data.record import Record
from data.template import signature
from finetune.chat.dialogue import Chat
from tooltune.errors import InputError
from tooltune.files import dump_json

HELP = """\
/tools       the tools that are offered
/model       the state that calls work on
/raw         show the model's output as it wrote it, too; again: no longer
/undo        take the last request back, and what it did
/save FILE   add the conversation to a file of rows (JSON Lines), as `data check` and `train` read it
/help        this list
/quit        end; so does the end of the input (Ctrl-D)"""
QUIT = "/quit"


@dataclass
class View:
    """What a chat shows; `raw`: each output as the model wrote it, too."""

    raw: bool = False


def obey(chat: Chat, view: View, line: str) -> list[str]:
    """Carry out a line that begins with `/`; the lines to show.

    Raises:
        InputError: there is no such command, or it cannot be carried out.
    """
    name, _, rest = line.strip().partition(" ")
    if name == "/tools":
        return [signature(tool["function"]) for tool in chat.start.tools] or ["none"]
    if name == "/model":
        return chat.shown() or ["none: calls are shown only"]
    if name == "/raw":
        view.raw = not view.raw
        return [f"raw output: {'shown' if view.raw else 'not shown'}"]
    if name == "/undo":
        undone = chat.undo()
        return ["there is nothing to take back" if undone is None else f"taken back: {undone}"]
    if name == "/save":
        return [_save(chat, rest.strip())]
    if name == "/help":
        return HELP.split("\n")
    raise InputError(f"no command {name}", fix="/help lists them; a request does not begin with /")


def _save(chat: Chat, file: str) -> str:
    if not file:
        raise InputError("/save needs a file", fix="for example /save mine.jsonl")
    row = chat.row(f"chat-{datetime.now():%Y%m%d-%H%M%S-%f}")
    if not chat.exchanges:
        raise InputError("there is no answer to save yet", where="/save", fix="ask something first")
    Record.from_dict(row.to_dict(), where="/save")
    try:
        with Path(file).open("a", encoding="utf-8", newline="\n") as f:
            f.write(dump_json(row.to_dict()) + "\n")
    except OSError as e:
        raise InputError(f"the file cannot be written ({e.strerror})", where=file, fix="name another") from None
    return f"row {row.id} added to {file}"
