"""The built-in loaders of slm."""
