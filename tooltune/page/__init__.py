"""What all pages of the project share: one file that needs nothing beside it, the house's style, two languages."""

from tooltune.page.render import render
from tooltune.page.words import in_both, read_words, sentence

__all__ = ["in_both", "read_words", "render", "sentence"]
