"""Measurements and long trials, run by hand; their results are in `docs/BENCHMARKS.md`."""
