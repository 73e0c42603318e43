"""Bring lines from memory into sealed segments, and mend what a death in between left behind.

Here belongs every file that the collector writes but its status and its log. Which lines there are was decided before.
"""
