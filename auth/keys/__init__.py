"""The keys that sign access tokens: where they are kept, how they rotate, and which are in force."""
