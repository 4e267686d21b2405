"""Functions and services in place of targets: requests as events, results as responses, and how they are called."""
