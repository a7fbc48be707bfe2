"""What all stores have: keys, entries, operations, capabilities, errors, and the store itself."""
