"""Keep what was received as it was received: lines, segments, journal; and say which segment holds what.

Here belongs what collector and lake have to agree on about raw files, light enough for the collector. What arrives from
a socket is decided on in `collector_daemon`; raw lines become Parquet in `transform`.
"""
