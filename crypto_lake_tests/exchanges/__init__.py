"""Tests of the exchanges' wire formats and request interfaces."""
