"""Which rules can never win, proven, each with a request that shows it (alb.md 1.3)."""

from proxy.rules.coverage.analysis import Analysis, Undecided, analyse

__all__ = ["Analysis", "Undecided", "analyse"]
