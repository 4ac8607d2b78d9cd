"""Records batch by batch: their texts read, changed, and put aside."""
