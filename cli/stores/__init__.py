"""Commands for stores: ``flask storage …``."""
