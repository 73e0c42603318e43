"""`crypto-lake up`: the collector and Dagster under one supervisor, with `--simulate` the bundled exchange too.

Here belongs starting processes, restarting those that die, and ending them all, whatever ends the supervisor. What they
do is theirs. Starting at boot is in `operate/service`.
"""
