"""An application whose tables have other keys than an id."""
