"""Files that belong to a data file and stand in the same folder or near it."""

from pathlib import Path
from typing import Any

from data.formats.rows import rows_of


class Beside:
    """Looks up companions of one data file; each is read once.

    Attributes:
        file: the data file itself.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._read: dict[tuple[str, ...], list[dict[str, Any]]] = {}

    def rows(self, *places: str) -> list[dict[str, Any]]:
        """The objects of the first of these files (relative to the data file's folder) that exists; none: empty.

        Raises:
            InputError: it exists but cannot be read.
        """
        if places not in self._read:
            paths = [self.file.parent / place for place in places]
            found = next((path for path in paths if path.is_file()), None)
            rows = [row.value for row in rows_of(found)] if found else []
            self._read[places] = [row for row in rows if isinstance(row, dict)]
        return self._read[places]
