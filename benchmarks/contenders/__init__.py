"""The drivers and libraries with which Isthmus is compared."""
