"""Which domain a row belongs to: the config's, an installed one that the row names, the bundled one, or none."""

import sys
from importlib import import_module

import pytest

from data import domain
from data.domain import domain_of, load_domain
from data.record import Record
from data.structural.engine import EXAMPLE
from data.structural.frame_domain import STRUCTURAL
from examples.thermostat import Thermostat
from tooltune.errors import InputError


def record(**meta):
    return Record("r", [{"role": "assistant", "content": "…"}], [], meta)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package that declares the example under the name `heating`, and something that is not a domain."""
    folder = tmp_path / "heating-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: heating\nVersion: 1\n")
    lines = ("heating = examples.thermostat:Thermostat", "odd = json:dumps")
    (folder / "entry_points.txt").write_text("\n".join([f"[{domain.GROUP}]", *lines]))
    monkeypatch.syspath_prepend(str(tmp_path))
    domain._installed.cache_clear()
    yield
    domain._installed.cache_clear()


def test_a_config_names_a_module_and_an_object():
    assert load_domain(None) is None
    assert isinstance(load_domain("examples.thermostat:Thermostat"), Thermostat)
    assert load_domain("data.structural.frame_domain:STRUCTURAL") is STRUCTURAL


def test_modules_of_the_current_folder_are_found(tmp_path, monkeypatch):
    (tmp_path / "own_domain.py").write_text("from examples.thermostat import Thermostat as Mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert isinstance(load_domain("own_domain:Mine"), Thermostat)
    assert import_module("own_domain").Mine is Thermostat


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such_module:Domain", "cannot be imported"),
        ("examples.thermostat:Nothing", "cannot be imported"),
        ("json:dumps", "is not a domain"),
        ("heating", "no domain 'heating'"),
        ("", "no domain ''"),
    ],
)
def test_what_is_not_a_domain_is_said(name, said):
    with pytest.raises(InputError, match=said) as e:
        load_domain(name)
    assert e.value.where == "data.domain"


def test_a_row_names_an_installed_domain(installed):
    assert isinstance(domain_of(record(domain="heating")), Thermostat)
    assert isinstance(load_domain("heating"), Thermostat)
    with pytest.raises(InputError, match="no domain 'cooling'") as e:
        load_domain("cooling")
    assert "heating, odd" in e.value.fix
    with pytest.raises(InputError, match="'odd' is not a domain"):
        load_domain("odd")


def test_a_row_cannot_name_a_module():
    for named in ("examples.thermostat:Thermostat", "finance", 3, ["x"], ""):
        assert domain_of(record(domain=named)) is None


def test_rows_of_the_bundled_dataset_need_no_name():
    assert domain_of(record(model=EXAMPLE.to_dict())) is STRUCTURAL
    assert domain_of(record(model_id="train-07")) is STRUCTURAL
    for other in ("gpt-4", "train-60", "train", 7, None, ["train-07"]):
        assert domain_of(record(model_id=other)) is None


def test_the_config_speaks_for_every_row():
    chosen = Thermostat()
    assert domain_of(record(model=EXAMPLE.to_dict()), chosen) is chosen
