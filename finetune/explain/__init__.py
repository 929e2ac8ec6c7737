"""One row, token by token: the probability that a model gives to each right token, and what it adds to the loss."""

from finetune.explain.explained import Explained, explain
from finetune.explain.page import to_html
from finetune.explain.show import to_terminal
from finetune.explain.subject import Subject, read_subject

__all__ = ["Explained", "Subject", "explain", "read_subject", "to_html", "to_terminal"]
