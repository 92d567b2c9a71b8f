"""The team's server as compose.yaml describes it, and at work; `docker compose config` where that is installed."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pytest
import yaml
from mlflow.server import get_app_client

from tests.servers import free_port, mlflow_server, postgresql
from wbc.config import RunConfig
from wbc.errors import TrackingError
from wbc.run import train_and_score

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "compose.yaml").read_text()
SERVICES = yaml.safe_load(TEXT)["services"]
SECRETS = {"POSTGRES_PASSWORD", "MLFLOW_ADMIN_PASSWORD", "MLFLOW_SECRET_KEY"}
PASSWORD = "a password long enough"


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


@pytest.fixture
def team_server(store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The server with the command, the settings and the variables of compose.yaml, and the users ada and grace."""
    port, server = free_port(), SERVICES["mlflow"]
    with postgresql() as database:
        monkeypatch.setenv("POSTGRES_PASSWORD", "s3cret")
        monkeypatch.setenv("MLFLOW_ADMIN_PASSWORD", PASSWORD)
        monkeypatch.setenv("MLFLOW_SECRET_KEY", "secret")
        here = {
            "postgresql://mlflow@database/mlflow": database.replace(":s3cret", ""),
            "/etc/mlflow-auth.ini": str(store / "auth.ini"),
            ":5000": f":{port}",
            "0.0.0.0": "127.0.0.1",
        }

        def localised(text: str) -> str:
            text = re.sub(r"\$\{(\w+):[?-]([^}]*)\}", lambda found: os.environ.get(found[1], found[2]), text)
            for there, place in here.items():
                text = text.replace(there, place)
            return text

        (lines,) = re.findall(r"printf '%s\\n' (.+) > /etc/mlflow-auth.ini", TEXT)
        (store / "auth.ini").write_text(localised("\n".join(re.findall("'([^']+)'", lines))))
        for name, value in server["environment"].items():
            monkeypatch.setenv(name, localised(value))
        options = [localised(word) for word in server["command"][2:]]
        with mlflow_server(port, os.environ["MLFLOW_BACKEND_STORE_URI"], store / "artifacts", *options) as address:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
            log_in(monkeypatch, os.environ["MLFLOW_AUTH_ADMIN_USERNAME"])
            for name in ("ada", "grace"):
                get_app_client("basic-auth", address).create_user(name, PASSWORD)
            yield


def log_in(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", name)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)


def test_users_of_one_server_add_to_one_experiment_and_others_are_refused(
    team_server: None, small_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, name in enumerate(("ada", "grace")):
        log_in(monkeypatch, name)
        outcome = train_and_score(small_config(epochs=2, seed=seed))
        assert mlflow.get_run(outcome.run_id).info.status == "FINISHED"
        (checkpoint,) = mlflow.artifacts.list_artifacts(run_id=outcome.run_id, artifact_path="checkpoint")
        assert checkpoint.path == "checkpoint/final.pt"
    assert len(mlflow.search_runs(search_all_experiments=True, output_format="list")) == 2
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
    with pytest.raises(TrackingError, match=r"does not know you \(401\)"):
        train_and_score(small_config(epochs=2, seed=2))
