"""Which records say the same, or nearly: runs of words, MinHash, clusters."""
