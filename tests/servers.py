"""Servers for tests, each a real one with a store of its own, gone when the block ends."""

import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import mlflow.server
import pytest
import requests

from tests.forks import run_module, start


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def mlflow_server(port: int, store: str, artifacts: Path, *options: str) -> Iterator[str]:
    """Yields the address of an MLflow server that answers. Leaving the block kills it as a crash would."""
    words = ["--port", str(port), "--workers", "1", *options]
    words += ["--backend-store-uri", store, "--artifacts-destination", str(artifacts)]
    process = start(Path(os.devnull), Path(os.devnull), _serve, *words)
    try:
        wait_for(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.join()


def _serve(*options: str) -> None:
    """Runs `mlflow server` in this process, where MLflow would start another one for uvicorn, which takes seconds."""

    def run_here(command: list[str], *, extra_env: dict[str, str], **_: object) -> None:
        os.environ.update(extra_env)
        run_module(*command[command.index("uvicorn") :])

    setattr(mlflow.server, "_exec_cmd", run_here)  # noqa: B010
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    run_module("mlflow", "server", *options)


def one_in_six(seed: int) -> Callable[[], bool]:
    """Returns what draws one answer in six by the seed."""
    chance = random.Random(seed)
    return lambda: chance.random() < 1 / 6


@contextmanager
def breaking_proxy(server: str, breaks: Callable[[], bool]) -> Iterator[str]:
    """Yields the address of a way to a server on which an answer breaks off halfway where `breaks` says so."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if "Transfer-Encoding" in self.headers:  # how an empty file comes: as one empty chunk
                self.rfile.read(5)
                del self.headers["Transfer-Encoding"]
            answer = requests.request(self.command, server + self.path, data=body, headers=dict(self.headers))
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            broken = self.path.startswith("/api/") and breaks()
            self.wfile.write(answer.content[: len(answer.content) // 2] if broken else answer.content)
            self.close_connection = broken

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward  # noqa: N815

        def log_message(self, *arguments: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        Thread(target=proxy.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{proxy.server_address[1]}"
        finally:
            proxy.shutdown()


def wait_for(address: str) -> None:
    for _ in range(1500):
        try:
            if requests.get(address, timeout=1).ok:
                return
        except requests.RequestException:
            time.sleep(0.2)
    raise TimeoutError(f"no answer from {address}")


@contextmanager
def postgresql() -> Iterator[str]:
    """Yields the address of an empty database in a PostgreSQL of its own, below /tmp: its socket's path must be short.

    As root it runs as `postgres`, since PostgreSQL refuses root.
    """
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin")) or [
        Path(path).parent for path in [shutil.which("initdb")] if path
    ]
    if not programs:
        pytest.skip("no PostgreSQL here: apt install postgresql")
    port, user = free_port(), "postgres" if os.getuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        data, password = Path(folder) / "data", Path(folder) / "password"
        password.write_text("s3cret")
        if user:
            shutil.chown(folder, user)
            shutil.chown(password, user)

        def run(program: str, *options: str) -> None:
            subprocess.run(
                [programs[-1] / program, "-D", data, *options],
                user=user,
                cwd=folder,
                check=True,
                stdout=subprocess.DEVNULL,
            )

        run("initdb", "-U", "wbc", "--auth=scram-sha-256", f"--pwfile={password}", "--no-sync")
        run("pg_ctl", "start", "-w", "-l", f"{folder}/log", "-o", f"-h 127.0.0.1 -p {port} -k {folder}")
        try:
            yield f"postgresql://wbc:s3cret@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "stop", "-w", "-m", "immediate")
