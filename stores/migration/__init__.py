"""Records from one database into another one."""
