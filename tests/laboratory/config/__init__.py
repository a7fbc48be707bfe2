"""The package that ``APPLICATION_PACKAGE`` names in the tests."""
