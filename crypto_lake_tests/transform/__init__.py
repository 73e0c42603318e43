"""Tests of `crypto_lake.transform`."""
