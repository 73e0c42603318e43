"""Say what is missing from a day, and fetch what the exchange still has of it: holes, healing, candles, halts.

Here belongs what fetches the past and keeps it. How an exchange wants to be asked is known to its own package. What was
fetched lands as segments or candles; bars are made of them in `transform`, and verdicts are given in `checks`.
"""
