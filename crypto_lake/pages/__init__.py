"""Make one file to look at: the validation of a day, the report of a day, the preview in Dagster's UI.

Here belongs how numbers are shown. A page loads nothing from a network, and escapes what came from outside. The numbers
come from `ask` and `checks`.
"""
