"""The built-in recipes of slm."""
