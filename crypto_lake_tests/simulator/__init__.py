"""Tests of the bundled exchange, over real sockets on loopback."""
