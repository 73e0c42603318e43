"""Mirrors the tree of the code; fakes and strategies that several tests share lie at the top."""
