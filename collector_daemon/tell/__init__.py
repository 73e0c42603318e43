"""Tell how the collector is: status file, a line of the log each minute, metrics.

Numbers are gathered here, not made: what counts them is in the other rooms.
"""
