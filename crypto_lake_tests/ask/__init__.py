"""Tests of `crypto_lake.ask`."""
