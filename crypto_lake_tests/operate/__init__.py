"""Tests of `crypto_lake.operate`."""
