"""The built-in exporters of slm."""
