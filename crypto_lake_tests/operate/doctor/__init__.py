"""Tests of `crypto-lake doctor`."""
