"""What is decided about what was received: lines, ids, holes, listening. No I/O."""
