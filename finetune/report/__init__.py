"""The run page: what a training did and what it means, as one HTML file, and its curves as pictures."""

from finetune.report.page import write_run_page
from finetune.report.plots import write_plots

__all__ = ["write_plots", "write_run_page"]
