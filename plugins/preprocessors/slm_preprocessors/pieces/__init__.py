"""How long texts are, and where they can be cut."""
