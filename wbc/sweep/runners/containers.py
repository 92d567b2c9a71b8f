"""What a run's container is given: limits, what it sees of this machine's disk, and its variables."""

import getpass
import math
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from docker.errors import DockerException
from docker.types import Mount
from docker.utils import parse_bytes

from wbc.config import RunConfig
from wbc.data.catalog import find_domain
from wbc.errors import ConfigError
from wbc.inputs import splits_of
from wbc.surroundings import data_dir, expanded, passed_on, proxies
from wbc.sweep.runners.base import is_local
from wbc.tracking.store import store_location


def container_settings(
    configs: Sequence[RunConfig], memory: str | None, *, cpus: int, jobs: int, gpus: int
) -> dict[str, Any]:
    """Returns what the containers of some runs have in common, as the Docker SDK names it.

    Each has `cpus` cores and at most as much `memory`, such as 16g; `jobs` of them at a time share `gpus` GPUs.
    """
    uri, written = store_location()
    settings: dict[str, Any] = {
        "mounts": _mounts(configs, written),
        "environment": container_environment(uri, jobs=jobs, gpus=gpus, cpus=cpus),
        "network_mode": "host" if is_local(uri) else None,
        "nano_cpus": cpus * 10**9,
        "shm_size": "1g",  # PyTorch's own worker processes need more than the default of 64 MB
        # Processes here and in containers see each other by name and number, since a claim ends with its process:
        # with other numbers, a container that is killed would hold its run for five minutes.
        "hostname": socket.gethostname(),
        "pid_mode": "host",
        "user": f"{os.getuid()}:{os.getgid()}",
        "group_add": [str(group) for group in os.getgroups()],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
    }
    if memory:
        limit = memory_bytes(memory)
        settings |= {"mem_limit": limit, "memswap_limit": limit}
    return settings


def _mounts(configs: Sequence[RunConfig], written: set[Path]) -> list[Mount]:
    """Returns what a container sees of this machine's disk: what runs read, read-only, and what they write."""
    read = {data_dir()}
    for config in configs:
        read |= {path for group in splits_of(config) for split in group if (path := find_domain(split.key).path)}
        if config.pretrained == "imagenet":
            read |= {path for path in _hubs().values() if path.exists()}
        elif config.pretrained not in ("none", "patterns"):
            read.add(expanded(config.pretrained).absolute())
    if any(config.device == "cuda" for config in configs):
        written = written | {data_dir() / "compiled"}  # as wbc.compute has it: code for the GPU, which runs share
    for folder in (data_dir(), *written):
        folder.mkdir(parents=True, exist_ok=True)
    return [Mount(str(path), str(path), type="bind") for path in written] + [
        Mount(str(path), str(path), type="bind", read_only=True) for path in read - written
    ]


def _hubs() -> dict[str, Path]:
    """Returns where downloaded ImageNet weights lie, by the variable that names the place."""
    import torch
    from huggingface_hub import constants

    return {
        "HF_HUB_CACHE": Path(constants.HF_HUB_CACHE).absolute(),
        "TORCH_HOME": Path(torch.hub.get_dir()).absolute().parent,
    }


def container_environment(uri: str, *, jobs: int, gpus: int, cpus: int) -> dict[str, str]:
    """Returns the variables of a container: those passed on from this process, and where things are."""
    return {
        **passed_on(),
        **proxies(),
        **{name: str(path) for name, path in _hubs().items()},
        "MLFLOW_TRACKING_URI": uri,
        "WBC_DATA_DIR": str(data_dir()),
        "WBC_JOBS": str(jobs),
        "WBC_GPU_JOBS": str(math.ceil(jobs / max(1, gpus))),
        "TINI_SUBREAPER": "true",  # tini is not process 1 where processes are numbered as on the host
        "USER": getpass.getuser(),
        "OMP_NUM_THREADS": str(cpus),
    }


def memory_bytes(memory: str) -> int:
    """Returns how many bytes an amount of memory is, such as 16g.

    Raises:
        ConfigError: it is none.
    """
    try:
        return int(parse_bytes(memory))
    except DockerException:
        raise ConfigError(f"memory={memory}: must be a number with a unit, such as 16g or 800m.") from None
