"""What the clients in networks of their own ask for, and where; to import it takes no client."""

from __future__ import annotations

from pytest_imds import ImdsServer

TIMEOUT_S = 5
IMDS, HOST = "169.254.169.254", "168.63.129.16"
NAME = f"http://{IMDS}/metadata/instance/compute/name?api-version=2021-02-01&format=text"
METADATA = {"Metadata": "true"}


def asked_hosts(server: ImdsServer) -> list[str]:
    """The hosts that requests have named so far."""
    return [request.host for request, _ in server.log]
