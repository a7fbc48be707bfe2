"""The sample application: delete this folder with it."""
