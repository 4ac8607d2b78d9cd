"""The doors to the kernel: the command line and its progress, the Python builder, opening a model."""
