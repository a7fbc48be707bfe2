"""The portable query: filters, order and validation."""
