"""What ``APPLICATION_PACKAGE`` names."""
