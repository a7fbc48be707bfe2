"""The pipeline around a backend, stage by stage and as a whole."""
