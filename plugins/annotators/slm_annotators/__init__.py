"""Places where people annotate records."""
