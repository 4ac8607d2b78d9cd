"""slm: from your own data to a small, specialised language model, served. A microkernel and its plugins."""

__version__ = "0.1.0"
