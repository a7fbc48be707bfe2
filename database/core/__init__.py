"""The ground floor: types, errors and the portable query. Imports nothing above it."""
