"""The Docker image: its labels say which code and lock it holds, and a sweep runs in no other than its own.

docker build --tag wbc-benchmark $(python -m wbc.sweep.runners.image) .     is what `make image` does
"""

import re
import subprocess
import tomllib
from typing import Final

import docker
from docker.errors import DockerException, ImageNotFound
from docker.models.images import Image

from wbc.code import ROOT, code_version, git_commit, lock_version
from wbc.errors import RunnerError, first_line, mask
from wbc.surroundings import docker_host

_ALL_CODE: Final = (".", "../entrypoints")


def connect_engine() -> docker.DockerClient:
    """Returns a client of the engine that DOCKER_HOST or the current context names.

    Raises:
        RunnerError: none answers.
    """
    try:
        return docker.from_env()
    except DockerException as error:
        reason, remedy = no_engine(error)
        raise RunnerError(f"{reason}: {remedy}. runner=local needs none.") from error


def no_engine(error: Exception) -> tuple[str, str]:
    """Returns what an error of the Docker client says, with the address, and what to do about it."""
    if "PermissionError" in str(error):
        remedy = "add yourself to its group (sudo usermod -aG docker $USER) and log in again"
    else:
        remedy = "install Docker Engine (docs.docker.com/engine/install), start it, or set DOCKER_HOST"
    where = docker_host()
    found = re.search(r"Error\(\d+, '([^']+)'\)", str(error))  # the system's own words, within two libraries'
    return f"no Docker engine answers at {where} ({found[1] if found else first_line(error)})", remedy


def find_image(engine: docker.DockerClient, name: str) -> Image:
    """Returns the image, which holds the code and the locked libraries that are here.

    Raises:
        RunnerError: there is none of this name, or it holds others.
    """
    make = "make image" if name == "wbc-benchmark" else f"make image IMAGE={name}"
    try:
        image = engine.images.get(name)
    except ImageNotFound:
        raise RunnerError(f"there is no Docker image '{name}' here: build it by `{make}`.") from None
    for what, here in _contents().items():
        there = image.labels.get(f"wbc.{what.lower()}")
        if there != here:
            raise RunnerError(
                f"image '{name}' was built from other {what.lower()} ({there or 'not said'}) than is here ({here}): "
                f"build it again by `{make}`."
            )
    return image


def build_arguments() -> dict[str, str]:
    """Returns what the image's labels say: contents, version, repository, and commit (`+`: files differ from it)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    git = {"REVISION": git_commit() or "", "SOURCE": _remote()}
    return {"VERSION": project["version"], **git, **_contents()}


def _contents() -> dict[str, str]:
    """Returns the versions of all code, not only of what decides a run's outcome, and of the lock."""
    return {"CODE": code_version(_ALL_CODE), "LOCK": lock_version()}


def _remote() -> str:
    """Returns the address of the repository, without a password that may be in it; empty if there is none."""
    try:
        found = subprocess.run(
            ["git", "-C", str(ROOT), "remote", "get-url", "origin"],
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return mask(found.stdout.strip()).replace("***@", "")


if __name__ == "__main__":
    print(*(f"--build-arg {name}={value}" for name, value in build_arguments().items()))
