"""The settings, which import nothing of the project, and the application's own: its tables, permissions and parts."""
