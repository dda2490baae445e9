"""What the audit finds of real clients, unmodified, at the real address: the table in ``docs/audit.md``.

``PYTEST_IMDS_WRITE=1 pytest -n 0 tests/clients/test_audited_clients.py`` writes it.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import Request, urlopen

import google.auth.transport.requests
import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential
from azure.monitor.opentelemetry.exporter.statsbeat import _statsbeat_metrics as statsbeat
from google.auth.exceptions import GoogleAuthError
from google.auth.identity_pool import Credentials
from msal import ManagedIdentityClient, SystemAssignedManagedIdentity  # type: ignore[import-untyped]
from opentelemetry.resource.detector.azure.vm import AzureVMResourceDetector

from pytest_imds import Audit, Clock, ImdsServer, ServerFactory, upkeep
from tests.clients.redirected import MISLEADING, NO_OTHER, RESOURCE, SCOPE, TOKEN_PATH

PAGE = Path(__file__).resolve().parents[2] / "docs" / "audit.md"
REGION = re.compile(r"(?<=<!-- clients -->\n)(.*?)(?=\n<!-- end of clients -->)", re.DOTALL)
WRITE = "PYTEST_IMDS_WRITE"
IMDS, TIMEOUT_S, AN_HOUR_S = "http://169.254.169.254", 5, 3600
HEADER = {"Metadata": "true"}
EVENTS = f"{IMDS}/metadata/scheduledevents"

# Asks the service for something; what it gives where the service has no answer is not of interest.
Ask = Callable[[], object]


@contextmanager
def azure_identity() -> Iterator[Ask]:
    with ManagedIdentityCredential() as credential:
        yield lambda: credential.get_token_info(SCOPE)


@contextmanager
def azure_identity_default() -> Iterator[Ask]:
    with DefaultAzureCredential(**NO_OTHER) as credential:
        yield lambda: credential.get_token_info(SCOPE)


@contextmanager
def msal() -> Iterator[Ask]:
    with requests.Session() as session:
        client = ManagedIdentityClient(SystemAssignedManagedIdentity(), http_client=session)
        yield lambda: client.acquire_token_for_client(resource=RESOURCE)


@contextmanager
def google_auth() -> Iterator[Ask]:
    source = {
        "url": f"{IMDS}{TOKEN_PATH}?api-version=2018-02-01&resource={RESOURCE}",
        "headers": HEADER,
        "format": {"type": "json", "subject_token_field_name": "access_token"},
    }
    credentials: Any = Credentials.from_info(  # type: ignore[no-untyped-call]
        {
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/azure/providers/entra",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": "https://sts.googleapis.com/v1/token",
            "credential_source": source,
        }
    )
    with requests.Session() as session:
        transport = google.auth.transport.requests.Request(session)
        yield lambda: credentials.retrieve_subject_token(transport)


@contextmanager
def detector() -> Iterator[Ask]:
    yield AzureVMResourceDetector().detect


@contextmanager
def exporter() -> Iterator[Ask]:
    """What its statistics about itself ask, time and again; all of them together would be sent to Microsoft."""
    ask = statsbeat._StatsbeatMetrics._get_azure_compute_metadata
    yield lambda: ask(SimpleNamespace())  # type: ignore[arg-type]


@contextmanager
def sample_of_azureimds() -> Iterator[Ask]:
    def ask() -> None:
        for path in ("/metadata/instance?api-version=2019-03-11", DOCUMENT):
            requests.get(IMDS + path, headers=HEADER, proxies={"http": None, "https": None}, timeout=TIMEOUT_S)  # type: ignore[dict-item]

    yield ask


DOCUMENT = "/metadata/attested/document?api-version=2019-03-11&nonce=1234576"


@contextmanager
def sample_of_events() -> Iterator[Ask]:
    yield lambda: requests.get(EVENTS, headers=HEADER, params={"api-version": "2020-07-01"}, timeout=TIMEOUT_S)


@contextmanager
def sample_of_events_with_urllib() -> Iterator[Ask]:
    def ask() -> None:
        with urlopen(Request(f"{EVENTS}?api-version=2019-08-01", headers=HEADER), timeout=TIMEOUT_S) as reply:
            reply.read()

    yield ask


CLIENTS: dict[str, Callable[[], Any]] = {
    "azure-identity, `ManagedIdentityCredential`": azure_identity,
    "azure-identity, `DefaultAzureCredential`": azure_identity_default,
    "msal, `ManagedIdentityClient`": msal,
    "google-auth, `identity_pool.Credentials`": google_auth,
    "opentelemetry-resource-detector-azure": detector,
    "azure-monitor-opentelemetry-exporter, its statistics": exporter,
    "the Python sample of microsoft/azureimds (requests)": sample_of_azureimds,
    "the documentation's sample for scheduled events (requests)": sample_of_events,
    "its earlier sample for them (urllib)": sample_of_events_with_urllib,
}
REFUSED = (ClientAuthenticationError, GoogleAuthError, OSError)
FOR_EVER = 10**6
# How the service is, and how often a client is asked, an hour apart.
SITUATIONS: dict[str, tuple[Callable[[ImdsServer], object], int]] = {
    "all is well": (lambda server: None, 2),
    "besides, at 410": (lambda server: server.faults.gone(window=FOR_EVER), 1),
    "at 429": (lambda server: server.faults.throttled(), 1),
    "at 500": (lambda server: server.faults.server_error(), 1),
}
HEAD = [f"| client | {' | '.join(SITUATIONS)} |", f"| --- |{' --- |' * len(SITUATIONS)}"]


def row(client: str, found: list[set[str]]) -> str:
    """What is found when all is well, and what besides in an outage."""
    always, *besides = found
    cells = [
        ", ".join(f"`{rule}`" for rule in sorted(rules)) or "nothing"
        for rules in (always, *(rules - always for rules in besides))
    ]
    return f"| {client} | {' | '.join(cells)} |"


@pytest.mark.parametrize("client", CLIENTS)
def test_what_is_found_of_a_client_is_in_the_table(
    client: str, make_imds_server: ServerFactory, imds_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in MISLEADING:
        monkeypatch.delenv(name, raising=False)
    found = []
    for begin, times in SITUATIONS.values():
        server = make_imds_server()
        upkeep.enter(monkeypatch, make_imds_server.trap(server))
        monkeypatch.setattr("urllib.request._opener", None)  # it would keep the proxy of the situation before
        begin(server)
        with server.redirected(), CLIENTS[client]() as ask:
            for _ in range(times):
                with suppress(*REFUSED):
                    ask()
                time.sleep(AN_HOUR_S)
        assert server.requests
        found.append({finding.rule for finding in Audit([server]).findings})

    expected = row(client, found)
    if WRITE in os.environ:
        write(client, expected)
    lines = table()
    assert expected in lines, f"docs/audit.md has another row; to write it: {WRITE}=1 pytest -n 0 {__file__}"


def table() -> list[str]:
    found = REGION.search(PAGE.read_text(encoding="utf-8"))
    assert found
    return found[0].strip().splitlines()


def write(client: str, line: str) -> None:
    rows = {old.split(" | ")[0].removeprefix("| "): old for old in table()[len(HEAD) :]} | {client: line}
    text = "\n".join([*HEAD, *(rows[name] for name in CLIENTS if name in rows)])
    PAGE.write_text(REGION.sub(lambda old: f"\n{text}\n", PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def test_the_table_has_these_clients_and_no_other() -> None:
    lines = table()
    assert lines[: len(HEAD)] == HEAD
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[len(HEAD) :]] == [*CLIENTS]
