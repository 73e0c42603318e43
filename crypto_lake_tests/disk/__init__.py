"""Tests of `crypto_lake.disk`."""
