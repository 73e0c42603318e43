"""Tests of crypto_lake.service."""
