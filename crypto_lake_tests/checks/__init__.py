"""Tests of `crypto_lake.checks`."""
