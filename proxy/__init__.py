"""Strangler Fig: ALB listener rules on one machine, to take a monolith apart one transaction at a time."""

__version__ = "0.1.0"
