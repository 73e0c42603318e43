"""Tests of the collector daemon: pure parts with lists, the rest against a scripted exchange on loopback."""
