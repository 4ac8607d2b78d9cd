"""What this machine offers to this process: cores, memory, GPUs and disk, with the limits a container sets."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from slm.values import Gpu, Hardware
from slm_facts.units import gigabytes

ROOT = Path("/")


def profile(folder: Path = Path()) -> Hardware:
    """The machine as this process may use it; `disk` is what is free where `folder` is, or will be."""
    import psutil

    cpu, flags = _cpu()
    return Hardware(
        cores=usable_cores(),
        memory=min([psutil.virtual_memory().total, *memory_limits()]),
        gpus=gpus(),
        cpu=cpu,
        flags=flags,
        disk=free_disk(folder),
        system=platform.system(),
    )


def describe(hardware: Hardware) -> str:
    """The profile as lines for a person."""
    lines = [f"cpu      {hardware.cpu or 'unknown'}, {hardware.cores} usable core{'s' * (hardware.cores != 1)}"]
    useful = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8", "neon", "asimd")
    lines.append(f"flags    {' '.join(f for f in useful if f in hardware.flags) or 'none that matter here'}")
    lines.append(f"memory   {gigabytes(hardware.memory)}")
    for gpu in hardware.gpus:
        lines.append(f"gpu      {gpu.name}, {gigabytes(gpu.memory)}, capability {'.'.join(map(str, gpu.capability))}")
    if not hardware.gpus:
        lines.append("gpu      none")
    return "\n".join([*lines, f"disk     {gigabytes(hardware.disk)} free", f"system   {hardware.system}"])


def usable_cores(root: Path = ROOT) -> int:
    """Physical cores this process may run on: hyper-threads count once, a container's quota is rounded down."""
    import psutil

    if not hasattr(os, "sched_getaffinity"):
        return int(psutil.cpu_count(logical=False) or os.cpu_count() or 1)
    cpus = root / "sys/devices/system/cpu"
    siblings = {_text(cpus / f"cpu{n}/topology/thread_siblings_list") or str(n) for n in os.sched_getaffinity(0)}
    return max(1, int(min([len(siblings), *_quotas(root)])))


def memory_limits(root: Path = ROOT) -> list[int]:
    """Every limit in bytes that a control group (version 1 or 2) puts on this process."""
    files = [folder / name for folder, name in _groups(root, "memory", "memory.max", "memory.limit_in_bytes")]
    return [limit for file in files if 0 < (limit := _number(file)) < 1 << 60]


def free_memory(root: Path = ROOT) -> int:
    """Bytes that can be had now without swapping: of the machine, and of each limited control group."""
    import psutil

    free = [psutil.virtual_memory().available]
    for folder, name in _groups(root, "memory", "memory.max", "memory.limit_in_bytes"):
        limit = _number(folder / name)
        used = _number(folder / ("memory.current" if name == "memory.max" else "memory.usage_in_bytes"))
        if 0 < limit < 1 << 60:  # what the kernel can drop from its file cache counts as free
            pairs = (line.split() for line in _text(folder / "memory.stat").splitlines())
            stat = {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}
            free.append(limit - used + stat.get("total_inactive_file", stat.get("inactive_file", 0)))
    return max(0, int(min(free)))


def free_disk(folder: Path) -> int:
    """Bytes free on the disk that holds `folder`, or the nearest parent that exists."""
    here = next((each for each in (folder.absolute(), *folder.absolute().parents) if each.exists()), Path())
    try:
        return shutil.disk_usage(here).free
    except OSError:
        return 0


def gpus() -> tuple[Gpu, ...]:
    """The NVIDIA GPUs that `nvidia-smi` lists and CUDA_VISIBLE_DEVICES leaves; none where either fails."""
    query = ["--query-gpu=uuid,name,memory.total,compute_cap", "--format=csv,noheader,nounits"]
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        listed = subprocess.run([program, *query], capture_output=True, text=True, timeout=20, check=True).stdout
        return _visible(listed, os.environ.get("CUDA_VISIBLE_DEVICES"))
    except (OSError, ValueError, subprocess.SubprocessError):
        return ()


def _visible(listed: str, chosen: str | None) -> tuple[Gpu, ...]:
    """GPUs of nvidia-smi's table (memory in MiB), those that `chosen` names by index or uuid, as CUDA reads it."""
    found: dict[str, Gpu] = {}
    for line in filter(None, listed.splitlines()):
        uuid, name, memory, capability = (part.strip() for part in line.split(","))
        major, _, minor = capability.partition(".")
        found[uuid] = Gpu(name, int(memory) << 20, (int(major), int(minor or 0)))
    if chosen is None:
        return tuple(found.values())
    uuids, visible = list(found), []
    for name in (part.strip() for part in chosen.split(",")):
        matches = [n for n, uuid in enumerate(uuids) if name and (uuid.startswith(name) or name == str(n))]
        if not matches:  # CUDA ignores everything behind the first name it does not know
            break
        visible.append(found[uuids[matches[0]]])
    return tuple(visible)


def _cpu() -> tuple[str, tuple[str, ...]]:
    """The processor's name and flags. py-cpuinfo takes a second, so its answer is kept in the user's cache folder."""
    lines = _text(ROOT / "proc/cpuinfo").split("\n\n")[0].splitlines()
    same = [line for line in lines if not line.startswith(("cpu MHz", "bogomips"))]
    key = hashlib.sha256("\n".join([*same, *platform.uname()]).encode()).hexdigest()
    file = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slm" / "cpu.json"
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):  # a broken cache is asked again
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["key"] == key:
            return str(kept["name"]), tuple(map(str, kept["flags"]))
    name, flags = _ask_cpu()
    with suppress(OSError):  # a home that can't be written costs a second each time
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_suffix(f".{os.getpid()}")
        aside.write_text(json.dumps({"key": key, "name": name, "flags": flags}), encoding="utf-8")
        aside.replace(file)
    return name, flags


def _ask_cpu() -> tuple[str, tuple[str, ...]]:
    try:
        import cpuinfo

        found = cpuinfo.get_cpu_info()
    except Exception:  # py-cpuinfo raises bare Exception on a processor it does not know
        return platform.processor() or platform.machine(), ()
    return str(found.get("brand_raw") or platform.machine()), tuple(map(str, found.get("flags", ())))


def _quotas(root: Path) -> Iterator[float]:
    """CPU quotas of this process's control groups, in cores."""
    for folder, name in _groups(root, "cpu", "cpu.max", "cpu.cfs_quota_us"):
        if name == "cpu.max":
            quota, _, period = _text(folder / name).partition(" ")
        else:
            quota, period = _text(folder / name), _text(folder / "cpu.cfs_period_us")
        if quota.isdecimal() and period.isdecimal() and int(quota) and int(period):
            yield int(quota) / int(period)


def _groups(root: Path, controller: str, new: str, old: str) -> Iterator[tuple[Path, str]]:
    """Folders that may limit this process, with the file to read: its own control group and all those above.

    Inside a container the paths of /proc/self/cgroup may be the host's; then only the top folder exists.
    """
    mount = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, names, path = line.split(":", 2)
        tops, file = [mount, mount / "unified"], new
        if number != "0":
            tops, file = [mount / name for name in (names, controller)], old
        if number == "0" or controller in names.split(","):
            for top in dict.fromkeys(tops):
                own = top / path.lstrip("/")
                chain = [own, *own.parents]
                yield from ((folder, file) for folder in chain[: chain.index(top) + 1] if (folder / file).is_file())


def _number(file: Path) -> int:
    text = _text(file)
    return int(text) if text.isdecimal() else 0


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
