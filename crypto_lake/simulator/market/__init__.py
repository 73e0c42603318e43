"""What happens on the simulated market: made up from a seed, or replayed from a capture."""
