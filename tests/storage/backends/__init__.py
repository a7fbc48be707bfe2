"""What each backend of stores has alone."""
