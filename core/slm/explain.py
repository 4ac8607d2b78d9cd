"""What went wrong in a stage, in one line that says what to do."""

from __future__ import annotations

import errno

from slm.errors import PluginError, SlmError

EXTRAS = {
    "datasets": "data", "pyarrow": "data", "ftfy": "data", "charset_normalizer": "data", "xxhash": "data",
    "yaml": "data", "zstandard": "data", "phonenumbers": "clean", "py3langid": "clean", "stdnum": "clean",
    "pypdf": "documents", "lxml": "documents", "lxml_html_clean": "documents", "fontTools": "documents",
    "python_calamine": "documents", "httpx": "web", "httpcore": "web", "trafilatura": "web", "sqlalchemy": "sql",
    "psycopg": "sql", "pymysql": "sql", "pymongo": "mongodb", "torch": "train", "transformers": "train",
    "peft": "train", "safetensors": "train", "accelerate": "train", "sklearn": "evaluate", "rouge_score": "evaluate",
    "onnxruntime": "onnx", "numpy": "onnx", "onnx": "export", "onnxscript": "export", "onnx_ir": "export",
    "onnxruntime_genai": "export", "optimum": "export", "starlette": "serve", "uvicorn": "serve",
    "label_studio_sdk": "annotate",
}  # fmt: skip


def explain(error: BaseException) -> tuple[str, str]:
    """What kind of failure this is (user, plugin, failure), and one line to say of it."""
    text = " ".join(str(error).split())
    if isinstance(error, SlmError):
        return "user", str(error)
    if isinstance(error, PluginError):
        return "plugin", text
    if isinstance(error, ImportError) and (extra := EXTRAS.get((error.name or "").partition(".")[0])):
        return "user", f"needs {error.name}: pip install 'slm-builder[{extra}]'"
    if isinstance(error, MemoryError) or "allocate memory" in text or "out of memory" in text.lower():
        return "failure", "out of memory; give it a smaller batch, shorter texts or a smaller base"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "failure", f"the disk is full ({error.filename or text}); free some space, then run the same command"
    if isinstance(error, OSError) and error.filename:
        return "failure", f"{error.filename}: {(error.strerror or text).lower()}"
    if "No space left on device" in text:  # from Arrow and safetensors, which wrap it
        return "failure", "the disk is full; free some space, then run the same command"
    return "failure", f"{type(error).__name__}: {text[:300]}"
