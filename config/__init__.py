"""Settings, which import nothing else of the project, and the application's own tables, permissions and set-up."""
