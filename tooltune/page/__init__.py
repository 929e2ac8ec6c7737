"""What all pages of the project share: one file that needs nothing beside it, the house's style, two languages."""

from tooltune.page.render import render
from tooltune.page.words import in_both, sentence

__all__ = ["in_both", "render", "sentence"]
