"""What was received: its lines, segments and journal, and which segment holds what."""
