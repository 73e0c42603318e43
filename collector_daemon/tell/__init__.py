"""What the collector says of itself: status, log, metrics."""
