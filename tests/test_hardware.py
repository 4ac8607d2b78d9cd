"""The machine as a process may use it: invented trees of /proc and /sys, an invented nvidia-smi, and this machine."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from slm.plugin import Gpu, Hardware
from slm_facts import hardware

CGROUP2 = "0::/user.slice/job.scope\n"
CGROUP1 = "7:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/\n"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def cores(siblings: list[str]) -> dict[str, str]:
    """Topology files for the processors that this process may use, `siblings` repeated as often as it takes."""
    cpus = sorted(os.sched_getaffinity(0))
    path = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    return {path.format(cpu): siblings[n % len(siblings)] + "\n" for n, cpu in enumerate(cpus)}


def test_the_profile_of_this_machine_is_sane(tmp_path: Path) -> None:
    found = hardware.profile(tmp_path / "not" / "there")
    assert 1 <= found.cores <= (os.cpu_count() or 1)
    assert 1 << 28 < found.memory < 1 << 46
    assert found.disk > 0
    assert found.cpu
    assert hardware.profile(tmp_path).flags == found.flags
    assert 0 < hardware.free_memory() <= found.memory


def test_hyper_threads_count_once(tmp_path: Path) -> None:
    assert hardware.usable_cores(write(tmp_path, cores(["0-1"]))) == 1


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one processor only")
@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 2),
        ({"proc/self/cgroup": CGROUP2, "sys/fs/cgroup/user.slice/job.scope/cpu.max": "max 100000"}, 2),
        ({"proc/self/cgroup": CGROUP2, "sys/fs/cgroup/user.slice/job.scope/cpu.max": "150000 100000"}, 1),
        ({"proc/self/cgroup": CGROUP2, "sys/fs/cgroup/user.slice/cpu.max": "10000 100000"}, 1),
        ({"proc/self/cgroup": CGROUP2, "sys/fs/cgroup/cpu.max": "100000 100000"}, 1),
        (
            {
                "proc/self/cgroup": CGROUP1,
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "100000",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            1,
        ),
        (
            {
                "proc/self/cgroup": CGROUP1,
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            2,
        ),
        ({"proc/self/cgroup": CGROUP2, "sys/fs/cgroup/cpu.max": "nonsense"}, 2),
    ],
)
def test_a_containers_quota_bounds_the_cores(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    assert min(hardware.usable_cores(write(tmp_path, {**cores(["0", "1"]), **files})), 2) == expected


@pytest.mark.parametrize(
    ("files", "limits"),
    [
        ({}, []),
        ({"proc/self/cgroup": CGROUP2, "sys/fs/cgroup/user.slice/job.scope/memory.max": "max"}, []),
        ({"proc/self/cgroup": CGROUP2, "sys/fs/cgroup/user.slice/job.scope/memory.max": "4096"}, [4096]),
        (
            {
                "proc/self/cgroup": CGROUP2,
                "sys/fs/cgroup/user.slice/memory.max": "8192",
                "sys/fs/cgroup/memory.max": "4096",
            },
            [8192, 4096],
        ),
        ({"proc/self/cgroup": CGROUP1, "sys/fs/cgroup/memory/memory.limit_in_bytes": "4096"}, [4096]),
        (
            {
                "proc/self/cgroup": CGROUP1,
                "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "9223372036854771712",
            },
            [],
        ),
    ],
)
def test_every_memory_limit_of_the_control_groups_is_found(
    tmp_path: Path, files: dict[str, str], limits: list[int]
) -> None:
    assert hardware.memory_limits(write(tmp_path, files)) == limits


def test_the_file_cache_of_a_control_group_counts_as_free(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/user.slice/job.scope/"
    files = {"memory.max": "1000000", "memory.current": "900000", "memory.stat": "anon 5\ninactive_file 300000\n"}
    root = write(tmp_path, {"proc/self/cgroup": CGROUP2, **{group + name: text for name, text in files.items()}})
    assert hardware.free_memory(root) == 400_000


LISTED = "GPU-aa11, NVIDIA H200, 143771, 9.0\nGPU-bb22, NVIDIA L4, 23034, 8.9\n"
H200, L4 = Gpu("NVIDIA H200", 143771 << 20, (9, 0)), Gpu("NVIDIA L4", 23034 << 20, (8, 9))


def nvidia_smi(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Puts a program of that name first on the path."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (None, (H200, L4)),
        ("1", (L4,)),
        ("1,0", (L4, H200)),
        ("GPU-bb", (L4,)),
        ("", ()),
        ("-1", ()),
        ("0,9,1", (H200,)),
    ],
)
def test_gpus_are_those_that_cuda_would_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: str | None, expected: tuple[Gpu, ...]
) -> None:
    nvidia_smi(tmp_path, monkeypatch, f"printf '{LISTED}'")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if chosen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert hardware.gpus() == expected


@pytest.mark.parametrize("script", ["exit 9", "echo no devices were found", "printf 'GPU-1, X, [N/A], 9.0\\n'", "true"])
def test_an_nvidia_smi_that_fails_means_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    nvidia_smi(tmp_path, monkeypatch, script)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert hardware.gpus() == ()


def test_the_processor_is_asked_once_and_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = hardware.profile()
    kept = tmp_path / "slm" / "cpu.json"
    table = json.loads(kept.read_text())
    kept.write_text(json.dumps({**table, "name": "remembered"}))
    assert hardware.profile().cpu == "remembered"
    kept.write_text(json.dumps({**table, "key": "another machine", "name": "remembered"}))
    assert hardware.profile().cpu == first.cpu


@pytest.mark.parametrize("text", ["{", "null"])
def test_a_broken_memory_of_the_processor_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    write(tmp_path, {"slm/cpu.json": text})
    assert hardware.profile().cpu


def test_a_cache_folder_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert hardware.profile().cpu


def test_a_machine_is_described_in_human_units() -> None:
    machine = Hardware(cores=8, memory=64 << 30, gpus=(H200,), cpu="Zen", flags=("avx2", "fpu"), disk=5 * 10**11)
    assert hardware.describe(machine).splitlines() == [
        "cpu      Zen, 8 usable cores",
        "flags    avx2",
        "memory   69 GB",
        "gpu      NVIDIA H200, 151 GB, capability 9.0",
        "disk     500 GB free",
        "system   Linux",
    ]
    assert "gpu      none" in hardware.describe(Hardware())
