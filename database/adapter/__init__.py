"""The parts that the adapters of all backends share."""
