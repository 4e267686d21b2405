"""Clicks: kept in a stream before anything else happens, counted by a function in batches."""
