"""What is learnt: records, loaders, rendering to tokens, the structural dataset."""

from data.record import Record
from tooltune.errors import InputError

__all__ = ["InputError", "Record"]
