"""Let a finished file appear whole, read it, mend it, verify it.

Here belongs what is true of any file: names, fsync, renames, checksums, Parquet's schema and footers. What a file
means, and where it lies, is not known here (`raw`, `transform`, `layout`).
"""
