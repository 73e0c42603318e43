"""Coverage: what a lake holds of each symbol and day, as a table that anybody may check without trusting it.

Here belongs how a row is told from the files of a day (`rows`), the file of a day's rows (`table`), how it is held
against the files again (`proof`), and its page. Whether a day is right is the business of `checks`.
"""
