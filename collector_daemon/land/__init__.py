"""From lines in memory to sealed segments, and what is done about a death in between."""
