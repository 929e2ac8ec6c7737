"""The lock: it answers what pyproject.toml asks for, names public files only, and pip's list is taken from it."""

import re
import tomllib
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.tiny import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))


def asked(lines: list[str]) -> set[tuple[str, str]]:
    requirements = map(Requirement, lines)
    return {(canonicalize_name(r.name), str(r.specifier)) for r in requirements}


def locked(entries: list[dict[str, str]]) -> set[tuple[str, str]]:
    return asked([entry["name"] + entry.get("specifier", "") for entry in entries])


def files(package: dict[str, Any]) -> list[dict[str, str]]:
    """The wheels and the source of a locked package."""
    return [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]


def test_it_was_made_for_this_project() -> None:
    (own,) = (package for package in LOCK["package"] if package["name"] == "tooltune")
    project = PROJECT["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    assert locked(own["metadata"]["requires-dist"]) == asked([*project["dependencies"], *extras])
    assert locked(LOCK["manifest"]["constraints"]) == asked(PROJECT["tool"]["uv"]["constraint-dependencies"])
    assert LOCK["requires-python"].replace(" ", "") == project["requires-python"]


def test_every_file_is_public_and_has_its_hash() -> None:
    for package in LOCK["package"]:
        if package["name"] == "tooltune":
            continue
        assert package["source"] == {"registry": "https://pypi.org/simple"}, package["name"]
        assert files(package), package["name"]
        for file in files(package):
            assert file["url"].startswith("https://files.pythonhosted.org/packages/")
            assert re.fullmatch("sha256:[0-9a-f]{64}", file["hash"])


def test_pips_list_is_the_locks() -> None:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8").replace("\\\n", "")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    hashes = {(p["name"], p["version"]): {file["hash"] for file in files(p)} for p in LOCK["package"]}
    versions = dict[str, set[str]]()
    for line in lines:
        head, *given = line.split("--hash=")
        requirement = Requirement(head)
        (version,) = (clause.version for clause in requirement.specifier)
        assert {one.strip() for one in given} == hashes[requirement.name, version], requirement.name
        versions.setdefault(requirement.name, set()).add(version)
    for pin in map(Requirement, PROJECT["tool"]["uv"]["constraint-dependencies"]):
        assert versions[pin.name] == {clause.version for clause in pin.specifier}
