"""The command line of `python -m data`."""

from pathlib import Path
from typing import Annotated

import typer

from tooltune.cli import DEBUG, LANG, Debug, TerminalLang, errors_as_lines, new_app, print_json
from tooltune.errors import InputError, JobFailed

app = new_app()


@app.callback()
def main() -> None:
    """Rows to learn from: rebuild the structural dataset, check a file of your own, convert it to records."""


@app.command()
def build(
    out: Annotated[Path | None, typer.Option(help="the folder to write to (default: the dataset's own)")] = None,
    limit: Annotated[int, typer.Option(help="rows of each bucket and kind, for a quick sample; 0: all", min=0)] = 0,
    seed: Annotated[int | None, typer.Option(help="another seed: other rows in all three files; needs --out")] = None,
    own_lists: Annotated[
        bool,
        typer.Option("--own-lists", help="a list of tools for each training row, not for each session; needs --out"),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="write nothing; build again and compare with the digests that are committed")
    ] = False,
    debug: Debug = DEBUG,
) -> None:
    """Build the structural dataset, the same bytes on every machine (minutes)."""
    with errors_as_lines(debug):
        if check and (out or limit or own_lists or seed is not None):
            raise InputError("--check compares the whole dataset", fix="give it without any other option")
        if (seed is not None or own_lists) and not out:
            option = "--own-lists" if seed is None else "--seed"
            raise InputError("this makes another dataset", where=option, fix="say where to: --out FOLDER")
        _compare() if check else _build(out, limit, seed, own_lists)


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="the files of one data set, one a split")],
    tokenizer: Annotated[
        str | None,
        typer.Option(help="for lengths and shared prefixes: a model folder, a hub name, 'embedded', or 'none'"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="the report as JSON")] = False,
    lang: TerminalLang = LANG,
    debug: Debug = DEBUG,
) -> None:
    """Check files in any known format: faults, duplicates, leaks, balance, lengths, what rows share. Exit code 2 on
    errors."""
    with errors_as_lines(debug):
        from data.check import check_files
        from data.load import to_stderr
        from tooltune.words import saying

        report = check_files(files, tokenizer, saying(to_stderr, lang), lang)
        if as_json:
            print_json(report.to_dict())
        else:
            from data.check.view import show
            from tooltune.console import Terminal

            show(report, Terminal(width=140, markup=True), lang)
    if report.errors:
        raise typer.Exit(2)


@app.command()
def convert(
    file: Annotated[Path, typer.Argument(help="a file in any known format")],
    to: Annotated[str, typer.Option(help="the form to write: records")] = "records",
    out: Annotated[Path | None, typer.Option(help="where to (default: <name>.records.jsonl beside the file)")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="write nothing if any row is rejected")] = False,
    lang: TerminalLang = LANG,
    debug: Debug = DEBUG,
) -> None:
    """Convert a file to records; rows that cannot be read go to <file>.rejected.jsonl with the reason."""
    with errors_as_lines(debug):
        from data.convert import convert as run
        from data.words import phrase
        from tooltune.console import say as said
        from tooltune.words import in_language, saying

        if to != "records":
            raise InputError(f"{to!r} is not a format that can be written", where="--to", fix="write --to records")
        done = run(file, out, strict=strict)
        loaded, say = done.loaded, saying(said, lang)
        n = len(loaded.records)
        say(phrase("converted", path=file, form=loaded.format, rows=loaded.rows, out=done.out, n=n))
        for line in loaded.lines():
            say(line)
        if done.aside:
            say(phrase("converted.aside", n=len(loaded.rejected), aside=done.aside))
            for entry in loaded.rejected[:3]:
                say(f"  {entry.error.where}: {in_language(entry.error.said, lang)}")


def _build(out: Path | None, limit: int, seed: int | None, own_lists: bool) -> None:
    from data.structural import build
    from tooltune.files import writable

    writable(out or build.HERE, folder=True)
    try:
        rows, refused = build.build(out or build.HERE, build.SEED if seed is None else seed, limit, own_lists=own_lists)
    except ImportError as e:
        raise _extra(e) from None
    for split, found in rows.items():
        print(f"{split}: {len(found)} rows")
    print(f"{len(refused)} drafts were refused and drawn again → {out or build.HERE}")


def _compare() -> None:
    import json
    import tempfile

    from data.structural import build

    committed = json.loads((build.HERE / "digests.json").read_text(encoding="utf-8"))
    try:
        with tempfile.TemporaryDirectory() as folder:
            rows, _ = build.build(folder)
    except ImportError as e:
        raise _extra(e) from None
    differing = [split for split, found in rows.items() if build.digest(found) != committed.get(split)]
    if differing:
        raise JobFailed(f"not the committed bytes: {', '.join(differing)}", fix="see what changed with --out FOLDER")
    print(f"the same bytes as committed: {', '.join(rows)}")


def _extra(e: ImportError) -> InputError:
    return InputError(
        f"building needs the extra `structural` ({e.name or e} is missing)", fix="pip install -e '.[structural]'"
    )
