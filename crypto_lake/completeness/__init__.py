"""What is missing, and what the exchange still has of it: holes, healing, candles, halts."""
