"""What holds for every store."""
