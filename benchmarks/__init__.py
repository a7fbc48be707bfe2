"""What Isthmus costs, beside what others cost: ``python -m benchmarks``."""
