"""Decide what was received: lines, ids, holes, listening. No I/O: frames and times in, lines and events out.

Here belongs what a test can ask with a list. Sockets are in `connect`, files in `land`.
"""
