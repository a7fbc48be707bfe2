"""What belongs where is written in README.md."""
