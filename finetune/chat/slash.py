"""What is typed at a chat besides requests: `/tools`, `/undo` and the like."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from data.record import Record
from data.template import signature
from finetune.chat.dialogue import Chat
from finetune.words import phrase
from tooltune.errors import InputError
from tooltune.files import append_jsonl, user_path
from tooltune.words import Language, Phrase

QUIT = "/quit"


@dataclass
class View:
    """What a chat shows, and in which language; `raw`: each output as the model wrote it, too."""

    raw: bool = False
    lang: Language = "en"


def obey(chat: Chat, view: View, line: str) -> Sequence[Phrase | str]:
    """Carry out a line that begins with `/`; the lines to show.

    Raises:
        InputError: there is no such command, or it cannot be carried out.
    """
    name, _, rest = line.strip().partition(" ")
    if name == "/tools":
        return [signature(tool["function"]) for tool in chat.start.tools] or [phrase("chat.tools.none")]
    if name == "/model":
        return chat.state_lines() or [phrase("chat.model.none")]
    if name == "/raw":
        view.raw = not view.raw
        return [phrase("chat.raw.on" if view.raw else "chat.raw.off")]
    if name == "/undo":
        undone = chat.undo()
        return [phrase("chat.undo.none") if undone is None else phrase("chat.undo", request=undone)]
    if name == "/save":
        return [_save(chat, rest.strip())]
    if name == "/help":
        return [phrase("chat.help")]
    raise InputError(f"no command {name}", fix="/help lists them; a request does not begin with /")


def _save(chat: Chat, file: str) -> Phrase:
    if not file:
        raise InputError("/save needs a file", fix="for example /save mine.jsonl")
    row = chat.row(f"chat-{datetime.now():%Y%m%d-%H%M%S-%f}")
    if not chat.exchanges:
        raise InputError("there is no answer to save yet", where="/save", fix="ask something first")
    Record.from_dict(row.to_dict(), where="/save")
    try:
        append_jsonl(user_path(file), row.to_dict())
    except OSError as e:
        raise InputError(f"the file cannot be written ({e.strerror})", where=file, fix="name another") from None
    for exchange in chat.exchanges:
        exchange.saved = True
    return phrase("chat.saved", id=row.id, file=file)
