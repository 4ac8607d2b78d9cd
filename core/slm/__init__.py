"""slm: from your own data to a small, specialised language model, served. A microkernel and its plugins."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["Pipeline", "SLMBuilder", "__version__"]


def __getattr__(name: str) -> Any:
    """The Python door, opened when it is asked for: `import slm` alone stays quick."""
    if name == "SLMBuilder":
        from slm_doors.builder import SLMBuilder

        return SLMBuilder
    if name == "Pipeline":
        from slm.pipeline import Pipeline

        return Pipeline
    raise AttributeError(f"module 'slm' has no attribute {name!r}")
