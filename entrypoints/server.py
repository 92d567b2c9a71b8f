"""Serves MLflow's page and prints what to open: `python -m entrypoints.server`, or `make server`."""

from entrypoints.command import main
from wbc.config import ServerConfig


def server(options: ServerConfig) -> None:
    """Prints the addresses of the studies' views, then becomes the server."""
    from wbc.tracking.server import serve

    serve(options)


if __name__ == "__main__":
    main(ServerConfig, server)
