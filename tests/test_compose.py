"""The team's server as compose.yaml describes it; `docker compose config` where that is installed."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "compose.yaml").read_text()
SERVICES = yaml.safe_load(TEXT)["services"]
SECRETS = {"POSTGRES_PASSWORD", "MLFLOW_ADMIN_PASSWORD", "MLFLOW_SECRET_KEY"}


def test_secrets_come_from_outside_and_nothing_starts_without_them() -> None:
    assert set(re.findall(r"\$\{(\w+):\?", TEXT)) == SECRETS
    for service in SERVICES.values():
        for name, value in service["environment"].items():
            assert not re.search("PASSWORD|SECRET", name) or value.startswith("${"), name
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_images_are_of_fixed_versions_and_services_are_watched_and_restarted() -> None:
    build = SERVICES["mlflow"]["build"]["dockerfile_inline"]
    for image in (SERVICES["database"]["image"], build.splitlines()[0].split()[1]):
        assert re.search(r":\d+\.\d+", image), image
    for service in SERVICES.values():
        assert service["healthcheck"]["test"]
        assert service["restart"] == "unless-stopped"


def test_server_wants_a_password_and_listens_to_this_machine_alone() -> None:
    server = SERVICES["mlflow"]
    assert "basic-auth" in server["command"]
    assert server["ports"] == ["${BIND_ADDRESS:-127.0.0.1}:5000:5000"]
    assert "*" not in server["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"]
    assert "ports" not in SERVICES["database"]


def test_versions_for_the_image_are_those_of_the_lock_without_hashes() -> None:
    (command,) = re.findall(r"sed -E '(.+)' /tmp/requirements.lock", TEXT)
    script = command.replace("$$", "$")
    lock = subprocess.run(
        ["sed", "-E", script, ROOT / "requirements.lock"], capture_output=True, text=True, check=True
    ).stdout
    pins = [line for line in lock.splitlines() if not line.lstrip().startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==\S+( ; .+)?", line) for line in pins)
    assert {"mlflow", "psycopg", "psycopg-binary", "flask-wtf"} <= {line.split("==")[0] for line in pins}


def test_compose_itself_takes_the_file_and_refuses_it_without_secrets() -> None:
    command = ["docker", "compose", "--project-directory", str(ROOT), "--env-file", os.devnull, "config", "--quiet"]
    if not shutil.which("docker") or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        pytest.skip("no docker compose here")
    environment = {name: value for name, value in os.environ.items() if name not in SECRETS}
    assert subprocess.run(command, env=environment, capture_output=True).returncode != 0
    taken = subprocess.run(command, env=environment | dict.fromkeys(SECRETS, "x"), capture_output=True, text=True)
    assert taken.returncode == 0, taken.stderr
