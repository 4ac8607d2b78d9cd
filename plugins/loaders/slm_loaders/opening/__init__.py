"""A source's files: found, unpacked within bounds, decoded, and parsed where a crash costs nothing else."""
