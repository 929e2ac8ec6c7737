"""The evaluation report: one HTML page with the figures of a run and every answer behind them."""

from eval.report.page import write_report

__all__ = ["write_report"]
