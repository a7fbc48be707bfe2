"""The HTTP interface of experiments: ``/api/convergence/storage/…``."""
