"""Tool-call formats, a file a shape; `families()` knows every one by its names."""

from eval.formats.family import families

__all__ = ["families"]
