"""Documents as markdown, and text as passages."""
