"""Services carved out of the monolith. Each stands alone: none imports the monolith or another service."""
