"""From any known format to records. Rows that cannot be read are set aside with their reason, never dropped."""

from dataclasses import dataclass
from pathlib import Path

from data.formats.literals import unwritable
from data.formats.reading import Loaded, Rejected, read_file
from tooltune.errors import InputError
from tooltune.files import atomic_write, dump_json, write_jsonl


@dataclass(frozen=True)
class Converted:
    """What a conversion wrote; `aside` is None where no row was rejected."""

    loaded: Loaded
    out: Path
    aside: Path | None


def convert(path: Path, out: Path | None = None, *, strict: bool = False) -> Converted:
    """Write the records of a file, and its rejected rows to `<file>.rejected.jsonl` beside it.

    Args:
        out: where the records go; `<name>.records.jsonl` beside the file if not given.

    Raises:
        InputError: the file cannot be read, `out` would overwrite it, no row is left, or (strict) a row is rejected.
    """
    out = out or path.with_name(f"{path.stem}.records.jsonl")
    aside = path.with_name(f"{path.name}.rejected.jsonl")
    if out.resolve() in (path.resolve(), aside.resolve()):
        raise InputError("the records would overwrite a file that is needed", where=str(out), fix="give another --out")
    loaded = read_file(path, mend=True)
    if strict and loaded.rejected:
        first = loaded.rejected[0].error
        raise InputError(
            f"{first.what} (the first of {len(loaded.rejected)} rejected rows; nothing was written)",
            where=first.where,
            fix=first.fix or "mend the rows, or leave --strict out to set them aside",
        )
    if loaded.rejected:
        write_rejected(aside, loaded.rejected)
    else:
        aside.unlink(missing_ok=True)  # of an earlier conversion: every row is a record now
    if not loaded.records:
        first = loaded.rejected[0].error
        raise InputError(
            f"no row is left of {loaded.rows} read as {loaded.format}; the first reason: {first.what}",
            where=first.where,
            fix=f"see {aside} for every row and its reason",
        )
    write_jsonl(out, (record.to_dict() for _, record in loaded.records))
    return Converted(loaded, out, aside if loaded.rejected else None)


def write_rejected(path: Path, rejected: list[Rejected]) -> None:
    """Write rejected rows as JSON Lines: line, reason, row."""
    with atomic_write(path) as file:
        for entry in rejected:
            written = entry.to_dict()
            if unwritable(written):  # the row's own values cannot be written: its text can
                written["row"] = entry.row.text
            file.write(dump_json(written) + "\n")
