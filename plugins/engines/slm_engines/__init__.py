"""The built-in engines of slm."""
