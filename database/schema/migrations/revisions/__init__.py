"""Writing a revision: comparison, rendering and formatting."""
