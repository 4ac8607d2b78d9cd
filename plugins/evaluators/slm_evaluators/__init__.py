"""The built-in evaluators of slm."""
