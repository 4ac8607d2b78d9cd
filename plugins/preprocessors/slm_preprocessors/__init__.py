"""The built-in preprocessors of slm."""
