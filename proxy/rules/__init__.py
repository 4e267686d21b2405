"""Which action a request gets: pure, with no I/O and no clock."""
