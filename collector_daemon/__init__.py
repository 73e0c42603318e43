"""The collector daemon: listens to an exchange around the clock and writes what it says into raw segments.

Here belongs what runs while somebody listens: connections, decisions about frames, the way to disk, the status. Facts
about an exchange are in `crypto_lake.exchanges`, the format of raw files in `crypto_lake.raw`. It makes no bars, and
imports nothing heavy, because it runs for months.
"""
