"""Health, metrics, migrations and purging of a running application."""
