"""What is kept: results under the fingerprint of what made them, and the folder of a run."""
