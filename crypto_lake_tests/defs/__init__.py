"""Tests of `crypto_lake.defs`."""
