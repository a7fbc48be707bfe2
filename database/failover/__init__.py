"""Failover of reads: which database is healthy, which fallback may answer, and when reads return to the primary."""
