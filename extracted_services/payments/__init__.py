"""Payments as a service of its own: the only process that ever sees a card."""
