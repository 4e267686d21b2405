"""Recommendations as a service of its own: same API, own data, an index instead of heavy queries."""
