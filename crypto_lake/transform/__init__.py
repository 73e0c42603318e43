"""Make Parquet of raw lines: bars by hour, daily files, ticks; and say what may go afterwards.

Here belongs what turns segments into finished files, and when one has to be made anew. Nothing is fetched here
(`completeness`), and nobody asks here whether a day is right (`checks`).
"""
