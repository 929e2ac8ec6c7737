"""What is learnt: records, loaders, rendering to tokens, the structural dataset."""

from data.errors import InputError
from data.record import Record

__all__ = ["InputError", "Record"]
