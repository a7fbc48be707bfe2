"""What sync stores and tells of itself beside its checkpoints: notes, and the syncs that run."""
