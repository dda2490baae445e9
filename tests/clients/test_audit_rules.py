"""For each rule a client that breaks it, and one that keeps it and does the same otherwise."""

from __future__ import annotations

import http.client
import json
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener, urlopen

import pytest
import requests

from pytest_imds import Audit, Faults, ImdsServer, data

pytestmark = [pytest.mark.imds(audit=False, redirect=True), pytest.mark.usefixtures("imds_clock")]

IMDS = "http://169.254.169.254"
TIMEOUT_S = 5
METADATA = {"Metadata": "true"}
INSTANCE = f"{IMDS}/metadata/instance?api-version=2021-02-01"
TOKEN = f"{IMDS}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net"
DOCUMENT = f"{IMDS}/metadata/attested/document?api-version=2021-02-01"
EVENTS = f"{IMDS}/metadata/scheduledevents?api-version=2020-07-01"


class Client:
    """A client of IMDS.

    Args:
        faults: what its server breaks.
        session: what it asks through, which leaves proxies alone.
    """

    def __init__(self, faults: Faults, session: requests.Session) -> None:
        self.faults = faults
        self.session = session

    def get(self, url: str = INSTANCE, headers: dict[str, str] = METADATA) -> requests.Response:
        return self.session.get(url, headers=headers, timeout=TIMEOUT_S)

    def patiently(self, *waits: float, url: str = INSTANCE) -> None:
        """Ask until there is an answer, or no wait is left."""
        reply = self.get(url)
        for seconds in waits:
            if reply.status_code == 200:
                return
            time.sleep(seconds)
            reply = self.get(url)


@pytest.fixture
def client(imds_faults: Faults, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("urllib.request._opener", None)  # it keeps the proxies that it has met first
    with requests.Session() as session:
        session.trust_env = False
        yield Client(imds_faults, session)


def without_proxy(url: str) -> None:
    build_opener(ProxyHandler({})).open(Request(url, headers=METADATA), timeout=TIMEOUT_S).close()


def with_http_client(target: str, *headers: tuple[str, str]) -> None:
    connection = http.client.HTTPConnection("169.254.169.254", timeout=TIMEOUT_S)
    connection.putrequest("GET", target)
    for name, value in (*METADATA.items(), *headers):
        connection.putheader(name, value)
    connection.endheaders()
    connection.getresponse().read()
    connection.close()


def regularly(client: Client, url: str, times: int, every_s: float) -> None:
    for _ in range(times):
        client.get(url)
        time.sleep(every_s)


def with_an_old_service(client: Client, *versions: str) -> None:
    """Ask in one api-version after another, until one is there."""
    for version in versions:
        if client.get(f"{IMDS}/metadata/instance?api-version={version}").status_code == 200:
            return


def at_once(client: Client, count: int) -> None:
    client.faults.latency(0.5)
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(lambda _: without_proxy(TOKEN), range(count)))


def while_down(client: Client, fault: str, *waits: float, **parameters: Any) -> None:
    getattr(client.faults, fault)(**parameters)
    client.patiently(*waits)


def again_and_again(client: Client, times: int) -> None:
    for _ in range(times):
        client.get(f"{INSTANCE}&format=xml")
        time.sleep(1)


def keeps_its_token(client: Client) -> None:
    until = 0.0
    for _ in range(5):
        if time.time() > until - 12 * 3600:
            until = float(client.get(TOKEN).json()["expires_on"])
        time.sleep(3600)


def with_urllib(url: str) -> None:
    urlopen(Request(url, headers=METADATA), timeout=TIMEOUT_S).close()


Does = Callable[[Client], object]
# Rule, what a client does that breaks it, and what one does that keeps it.
CLIENTS: dict[str, tuple[Does, Does]] = {
    "metadata-header": (lambda client: client.get(headers={}), lambda client: client.get()),
    "probe-without-header": (
        lambda client: (client.get(TOKEN, headers={}), client.get(TOKEN)),
        lambda client: client.get(TOKEN),
    ),
    "no-forwarded-header": (
        lambda client: with_http_client("/metadata/versions", ("X-Forwarded-For", "10.0.0.1")),
        lambda client: with_http_client("/metadata/versions", ("X-Request-Id", "10.0.0.1")),
    ),
    "bypass-proxies": (lambda client: with_urllib(INSTANCE), lambda client: without_proxy(INSTANCE)),
    "api-version": (
        lambda client: with_an_old_service(client, "2099-01-01", "2098-01-01"),
        lambda client: with_an_old_service(client, "2099-01-01", "2021-02-01"),
    ),
    "repeated-parameters": (
        lambda client: client.get(f"{INSTANCE}&api-version=2021-02-01"),
        lambda client: client.get(f"{INSTANCE}&format=json"),
    ),
    "text-for-leaves": (
        lambda client: client.get(INSTANCE.replace("?", "/compute/name?")),
        lambda client: client.get(INSTANCE.replace("?", "/compute/name?format=text&")),
    ),
    "rate": (
        lambda client: [client.get() for _ in range(6)],
        lambda client: regularly(client, INSTANCE, 12, every_s=0.25),
    ),
    "rate (at once)": (lambda client: at_once(client, 6), lambda client: at_once(client, 5)),
    "wait-before-retry": (
        lambda client: while_down(client, "server_error", 0.1, 2, 6, times=3),
        lambda client: while_down(client, "server_error", 1, 2, 6, times=3),
    ),
    "wait-before-retry (Retry-After)": (
        lambda client: while_down(client, "throttled", 2, times=1, retry_after=10),
        lambda client: while_down(client, "throttled", 10, times=1, retry_after=10),
    ),
    "back-off": (
        lambda client: while_down(client, "throttled", *[3] * 6, times=6),
        lambda client: while_down(client, "throttled", 1, 2, 4, 8, 16, 32, times=6),
    ),
    "keep-trying": (
        lambda client: while_down(client, "gone", 1, 2, 4, 8, 16),
        lambda client: while_down(client, "gone", *[10] * 7),
    ),
    "no-retry": (lambda client: again_and_again(client, 3), lambda client: again_and_again(client, 1)),
    "nonce": (
        lambda client: [client.get(f"{DOCUMENT}&nonce=123456") for _ in range(2)],
        lambda client: [client.get(f"{DOCUMENT}&nonce={secrets.token_hex(8)}") for _ in range(2)],
    ),
    "nonce (none)": (
        lambda client: client.get(DOCUMENT),
        lambda client: client.get(f"{DOCUMENT}&nonce={secrets.token_hex(16)}"),
    ),
    "cache-tokens": (lambda client: regularly(client, TOKEN, 5, every_s=3600), keeps_its_token),
}


def test_each_rule_has_its_clients() -> None:
    assert {name.partition(" ")[0] for name in CLIENTS} == {*data.read("rules")}


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_that_breaks_a_rule_is_found(name: str, client: Client, imds_audit: Audit) -> None:
    CLIENTS[name][0](client)

    assert {finding.rule for finding in imds_audit.findings} == {name.partition(" ")[0]}


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_that_keeps_it_is_not(name: str, client: Client, imds_audit: Audit) -> None:
    CLIENTS[name][1](client)

    assert imds_audit.findings == ()


# What the record could take for a breach, and is none.


def test_a_header_that_a_middlebox_took_away_was_sent(client: Client, imds_faults: Faults, imds_audit: Audit) -> None:
    imds_faults.missing_header(times=1)
    imds_faults.forwarded(times=1)

    assert [client.get().status_code for _ in range(3)] == [400, 400, 200]
    assert imds_audit.findings == ()


def test_a_server_that_the_test_has_another_answer_for_is_judged_by_that(
    client: Client, imds_server: ImdsServer, imds_audit: Audit
) -> None:
    imds_server.expect_oneshot_request("/metadata/instance").respond_with_data(status=503)

    client.patiently(1)
    assert [request.status for request in imds_server.requests] == [503, 200]
    assert imds_audit.findings == ()


def test_a_poller_of_events_asks_at_equal_times(client: Client, imds_faults: Faults, imds_audit: Audit) -> None:
    imds_faults.server_error(after=2, times=5)
    regularly(client, EVENTS, 10, every_s=5)
    assert imds_audit.findings == ()


def test_a_request_without_an_answer_is_no_reply(client: Client, imds_faults: Faults, imds_audit: Audit) -> None:
    imds_faults.reset(times=2)
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            client.get()
    assert json.loads(client.get().content)["compute"]
    assert imds_audit.findings == ()


def test_two_clients_that_wait_each_for_itself(imds_faults: Faults, imds_audit: Audit) -> None:
    imds_faults.gone(window=15)
    imds_faults.latency(0.5)

    def ask(begins_s: float) -> None:
        time.sleep(begins_s)
        with requests.Session() as session:
            session.trust_env = False
            Client(imds_faults, session).patiently(10, 10)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(ask, [0, 0.2]))
    assert imds_audit.findings == ()
