"""Tests of `crypto_lake.completeness`."""
