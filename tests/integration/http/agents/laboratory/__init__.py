"""An application with agents."""
