"""Writing a revision: what differs, in which form, and in the project's style."""
