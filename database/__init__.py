"""The data layer: one interface over many backends, guarded, transactional and portable."""
