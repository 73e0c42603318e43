"""Bring what a collector records into the store, beside it and never in its way.

A collector writes to its own disk, whatever the store does. Here belongs what carries it on: which files wait, in what
order they go, how each is verified, and when this machine's copy may go. Light: no Dagster, no DuckDB, no Arrow.
"""
