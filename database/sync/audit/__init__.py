"""The audit of a sync: compares all records of both sides, and tells differences that no change in flight explains."""
