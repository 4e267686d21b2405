"""Contact list upload as a service of its own: matched while it comes in, whatever its size."""
