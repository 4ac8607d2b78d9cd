"""The built-in servers of slm."""
