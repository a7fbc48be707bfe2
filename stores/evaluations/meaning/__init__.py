"""What evaluations are: their values, statuses and numbers, and what is wrong with what callers give."""
