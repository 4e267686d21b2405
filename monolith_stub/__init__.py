"""A small but real monolith to strangle: a web shop and its community in one process with one database."""
