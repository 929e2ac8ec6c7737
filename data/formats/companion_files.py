"""Files that belong to a data file and stand in the same folder or near it."""

from pathlib import Path
from typing import Any

from data.formats.rows import rows_of

FOLDERS = ("possible_answer", "multi_turn_func_doc")
"""Where companions stand: what is made of a data file is made of these too (`companions`)."""


def companions(file: Path) -> list[Path]:
    """Every file that may be a companion of a data file, near it or up to two folders above."""
    above = [file.parent / up for up in ("", "..", "../..")]
    found = (path for folder in above for name in FOLDERS for path in (folder / name).glob("*"))
    return sorted(path for path in found if path.is_file())


class Beside:
    """Looks up companions of one data file; each is read once."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._read: dict[tuple[str, ...], list[dict[str, Any]]] = {}

    def rows(self, *places: str) -> list[dict[str, Any]]:
        """The objects of the first of these files (relative to the data file's folder) that exists; none: empty.

        Raises:
            InputError: it exists but cannot be read.
        """
        if places not in self._read:
            assert all(Path(place).parent.name in FOLDERS for place in places), "see FOLDERS"
            paths = [self.file.parent / place for place in places]
            found = next((path for path in paths if path.is_file()), None)
            rows = [row.value for row in rows_of(found)] if found else []
            self._read[places] = [row for row in rows if isinstance(row, dict)]
        return self._read[places]
