"""One interface to several stores by their names: the data manager, its providers' base class, and its decorators."""
