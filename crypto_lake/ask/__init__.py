"""Answer questions about what a lake holds: views, SQL, Python.

Here belongs what reads finished files for somebody who asks, and which files an answer is made of. Nothing here writes
into the lake but `lake.duckdb`. Whether an answer is right is asked in `checks`; pages are made in `pages`.
"""
