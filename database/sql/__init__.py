"""What all SQL backends share: statements compiled once per shape, and the operations run on them."""
