"""The collector daemon: listens to an exchange around the clock and keeps every frame's line in raw segments."""
