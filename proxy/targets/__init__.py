"""Which target takes a request: groups, health, resolving, balancing."""
