"""Fixtures that every test folder may use."""

import os
import signal
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
# whoever was started in the background ignores Ctrl-C, and so would all that the tests start
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data() -> Path:
    """The shared real data; a test that asks for it is skipped where the folder is missing."""
    folder = Path(os.environ.get("SLM_TEST_DATA", Path(__file__).parents[2] / "shared/data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set SLM_TEST_DATA")
    return folder
