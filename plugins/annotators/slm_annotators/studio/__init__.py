"""Label Studio: its HTTP interface, its label configs, and its results."""
