"""Personal data: what it looks like, and what may stand in its place."""
