"""Tests of `crypto_lake.raw`."""
