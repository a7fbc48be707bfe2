"""One suite for all backends: what they must do alike, and what they must refuse."""
