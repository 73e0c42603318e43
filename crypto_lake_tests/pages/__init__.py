"""Tests of `crypto_lake.pages`."""
