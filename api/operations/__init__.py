"""Health, metrics, automatic migration and purging of a running application."""
