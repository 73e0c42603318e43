"""Export: a finished day's ticks as other programs' files. A format a module; `local` is the time that they all need.

Here belongs what becomes of trades and quotes outside of the lake, value for value. Nothing is made up: what a lake has
not, its export has not.
"""
