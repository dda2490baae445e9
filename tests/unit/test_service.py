"""The service as a function: a Request in, a Reply out, for a Host."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import combinations
from random import Random
from threading import Lock
from typing import Any

import pytest

from pytest_imds import Identity, data
from pytest_imds.faults.effects import Refusal
from pytest_imds.host import Host
from pytest_imds.limits import Limits
from pytest_imds.service import replies, versions
from pytest_imds.service.handle import handle
from pytest_imds.service.message import Reply, Request
from pytest_imds.trust.deliveries import Delivery
from pytest_imds.vm.load_balancer import REASONS
from pytest_imds.vm.provider import generate, generator
from tests import hosts
from tests.every import every
from tests.rows import SENDERS, assert_is

ERRORS: dict[str, Any] = data.read("errors")
BEHAVIOUR: dict[str, Any] = data.read("behaviour")
VERSIONS: list[str] = [row["version"] for row in data.read("api_versions")["versions"]]
ERAS: list[dict[str, Any]] = data.read("api_versions")["eras"]
GOOD = Request("GET", "/metadata/instance", "api-version=2021-02-01", {"metadata": "true"})
TOKEN = replace(GOOD, path="/metadata/identity/oauth2/token", query=f"{GOOD.query}&resource=r")
PLATFORM = replace(GOOD, path="/metadata/identity/getplatformmetadata", query="cred-api-version=2.0")
EVENTS = replace(GOOD, path="/metadata/scheduledevents", query="api-version=2020-07-01")
BALANCER = replace(GOOD, path="/metadata/loadbalancer")
# These answer bytes that never become a Request; tests/http sends such bytes.
BELOW_THE_SERVICE = {"malformed", "head-too-large", "request-timeout"}


@pytest.fixture
def host() -> Host:
    return hosts.host(generate(generator(), "linux", "service", {}))


@dataclass(frozen=True)
class Fault:
    """What makes a good request a bad one, and the error that it gets."""

    error: str
    path: str = GOOD.path
    query: str = ""
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    without_header: bool = False
    without_version: bool = False


# By the words of the rule in the data.
FAULTS = {
    "verb HEAD": Fault("head", method="HEAD"),
    "path outside /metadata": Fault("outside-metadata", path="/elsewhere"),
    "endpoint": Fault("category-unknown", path="/metadata/nothing"),
    "Metadata header": Fault("header-missing", without_header=True),
    "X-Forwarded-For": Fault("forwarded", headers=(("x-forwarded-for", "10.0.0.1"),)),
    "repeated parameters": Fault("parameter-repeated", query="&a=1&a=2"),
    "verb": Fault("method", method="POST"),
    "body": Fault("body-with-get", body=b"x"),
    "api-version": Fault("version-invalid", without_version=True),
    "format": Fault("format-unknown", query="&format=xml"),
}
ORDER: list[str] = BEHAVIOUR["order-of-checks"]["rule"].split(": ")[1].rstrip(".").split(", ")
# One request has one verb and one path.
EXCLUSIVE = {("verb HEAD", "verb"), ("path outside /metadata", "endpoint")}


def faulty(*faults: Fault) -> Request:
    headers = {} if any(fault.without_header for fault in faults) else dict(GOOD.headers)
    return Request(
        method=next((fault.method for fault in faults if fault.method != "GET"), "GET"),
        path=next((fault.path for fault in faults if fault.path != GOOD.path), GOOD.path),
        query=("" if any(fault.without_version for fault in faults) else GOOD.query)
        + "".join(fault.query for fault in faults),
        headers=headers | dict(header for fault in faults for header in fault.headers),
        body=b"".join(fault.body for fault in faults),
    )


def expected_body(error: str, newest: str | None) -> str:
    has = [version for version in VERSIONS if newest is None or version <= newest]
    newest_versions = json.dumps(has[:-4:-1], separators=(",", ":"))
    return str(ERRORS[error]["body"].replace("{newest_versions}", newest_versions))


def assert_is_error(reply: Reply, error: str, newest: str | None = None) -> None:
    assert_is(reply, ERRORS[error], expected_body(error, newest))


def test_the_order_in_the_data_names_every_check() -> None:
    assert sorted(ORDER) == sorted(FAULTS)


def test_a_request_without_a_fault_is_answered(host: Host) -> None:
    assert handle(faulty(), host).status == 200


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_single_fault_gets_its_error(host: Host, fault: Fault) -> None:
    assert_is_error(handle(faulty(fault), host), fault.error)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [pytest.param(*pair, id=" before ".join(pair)) for pair in combinations(ORDER, 2) if pair not in EXCLUSIVE],
)
def test_of_two_faults_the_one_that_is_checked_first_is_told(host: Host, earlier: str, later: str) -> None:
    assert_is_error(handle(faulty(FAULTS[earlier], FAULTS[later]), host), FAULTS[earlier].error)


# Errors that no fault above shows, the newest version of a service that answers so, and what to ask it.
OTHER_ERRORS: list[tuple[str, str | None, Request]] = [
    ("leaf-without-text", None, replace(GOOD, path="/metadata/instance/compute/name")),
    ("element-missing", None, replace(GOOD, path="/metadata/instance/compute/nothing")),
    ("version-missing-2019", "2019-11-01", replace(GOOD, query="")),
    ("version-missing-2019", "2020-10-01", replace(GOOD, query="")),
    ("version-unsupported-2017", "2019-11-01", replace(GOOD, query="api-version=2020-06-01")),
    ("version-unsupported-2020", "2020-10-01", replace(GOOD, query="api-version=2021-01-01")),
    ("version-invalid", "2025-04-07", replace(GOOD, query="api-version=2017-07-01")),
    ("nonce", None, replace(GOOD, path="/metadata/attested/document", query="api-version=2021-02-01&nonce=a.b")),
    ("version-invalid", None, replace(GOOD, path="/metadata/identity/info", query="api-version=2017-12-01")),
]


@pytest.mark.parametrize(("error", "newest", "request_"), OTHER_ERRORS, ids=lambda value: str(value)[:40])
def test_an_error_of_its_time_or_route_is_told(host: Host, error: str, newest: str | None, request_: Request) -> None:
    host.newest = newest

    assert_is_error(handle(request_, host), error, newest)


# Errors that an endpoint has of its own, and what to ask for them.
OWN_ERRORS: list[tuple[str, Request]] = [
    ("identity-header-missing", replace(TOKEN, headers={})),
    ("identity-version-missing", replace(TOKEN, query="")),
    ("identity-resource-missing", replace(TOKEN, query=GOOD.query)),
    ("identity-not-found", TOKEN),
    ("identity-several", TOKEN),
    ("identity-selectors", replace(TOKEN, query=f"{TOKEN.query}&client_id=a&object_id=b")),
    ("identity-bypass-cache", replace(TOKEN, query=f"{TOKEN.query}&bypass_cache=false")),
    ("identity-resource-unknown", TOKEN),
    ("identity-v2-version", replace(PLATFORM, query="")),
    ("identity-v2-version", replace(PLATFORM, query="cred-api-version=1.0")),
    ("identity-v2-unsupported", replace(PLATFORM, query=f"{PLATFORM.query}&msi_res_id=x")),
    ("identity-v2-csr", replace(PLATFORM, method="POST", path="/metadata/identity/issuecredential", body=b"{}")),
    ("events-version-unsupported", replace(EVENTS, query="api-version=2021-12-13")),
    ("events-malformed", replace(EVENTS, method="POST", body=b"")),
    ("events-unknown", replace(EVENTS, method="POST", body=b'{"StartRequests":[{"EventId":"x"}]}')),
    ("loadbalancer-parameter-missing", replace(BALANCER, query="")),
    ("loadbalancer-value", replace(BALANCER, query="api-version=2020-09-01")),
    ("loadbalancer-value", replace(BALANCER, query=f"{GOOD.query}&format=xml")),
    ("loadbalancer-unexpected", replace(BALANCER, query=f"{GOOD.query}&a=1&a=2")),
    ("loadbalancer-method", replace(BALANCER, method="POST")),
    ("loadbalancer-path", replace(BALANCER, path=f"{BALANCER.path}/inboundRules")),
    ("loadbalancer-body", replace(BALANCER, body=b"x")),
    ("loadbalancer-key-length", replace(BALANCER, query=f"{GOOD.query}&{'x' * 129}=1")),
    ("loadbalancer-value-length", replace(BALANCER, query=f"{GOOD.query}&x={'x' * 2049}")),
    ("loadbalancer-header-length", replace(BALANCER, headers={**GOOD.headers, "x": "x" * 8193})),
    ("loadbalancer-none", BALANCER),
    *((f"loadbalancer-{reason}", BALANCER) for reason in REASONS),
    ("throttled", GOOD),
    ("throttled-text", replace(GOOD, query=f"{GOOD.query}&format=text")),
    ("loadbalancer-throttled", BALANCER),
]
# Errors that nothing in a request brings about: a fault does.
OF_FAULTS: list[tuple[str, Request]] = [
    (error, request) for error in ("gone", "server-error", "unavailable", "not-there-yet") for request in (GOOD, TOKEN)
]


def prepare(host: Host, error: str) -> None:
    """Bring about what the request alone does not."""
    host.identity_v2 = error.startswith("identity-v2")
    if error in ("identity-not-found", "identity-several"):
        host.vm.identities = [Identity(f"c{n}", f"o{n}", f"r{n}") for n in range(2 * (error == "identity-several"))]
    if error == "identity-resource-unknown":
        host.identity.unknown_resource("r")
    if (reason := error.removeprefix("loadbalancer-")) in REASONS:
        host.vm.load_balancer.refuse(reason)
    if "throttled" in error:
        host.limits = Limits(Lock())
        assert {handle(GOOD, host).status for _ in range(5)} == {200}


@pytest.mark.parametrize(("error", "request_"), OWN_ERRORS, ids=[row[0] for row in OWN_ERRORS])
def test_an_endpoint_tells_its_own_errors(host: Host, error: str, request_: Request) -> None:
    prepare(host, error)

    assert_is_error(handle(request_, host), error)


@pytest.mark.parametrize(("error", "request_"), OF_FAULTS, ids=lambda value: getattr(value, "path", value))
def test_a_fault_tells_its_error(host: Host, error: str, request_: Request) -> None:
    assert_is_error(Refusal(error).reply(request_, host), error)


def test_every_error_in_the_data_is_reached() -> None:
    tables = (*OTHER_ERRORS, *OWN_ERRORS, *OF_FAULTS)
    reached = {fault.error for fault in FAULTS.values()} | {row[0] for row in tables}

    assert reached == set(ERRORS) - BELOW_THE_SERVICE


@every("name", SENDERS)
def test_a_sender_sends_its_headers(host: Host, name: str) -> None:
    reply = replies.delivery(host, Delivery(lambda: b"body", 500, "text/x", sender=name))

    assert_is(reply, {"status": 500, "content_type": "text/x", "sender": name, "body": "body"})


def test_every_sender_in_the_data_sends_something(host: Host) -> None:
    rows = (*ERRORS.values(), *data.read("foreign").values())
    entra = host.published(f"/common/{data.read('identity')['discovery']['configuration']}")
    assert entra is not None

    assert {row["sender"] for row in rows} | {Delivery(bytes).sender, entra.sender} == SENDERS.keys()


@every(
    "path",
    [
        "/metadata/instance/network/interface/1",
        "/metadata/instance/network/interface/-1",
        "/metadata/instance/network/interface/00",
        "/metadata/instance/network/interface/\u0660",
        "/metadata/instance/network/interface/" + "1" * 5000,
        "/metadata/instance/network/interface/0/macAddress/deeper",
        "/metadata/instance/compute/Name",
        "/metadata/instance/compute/../network",
        "/metadata/instance/extended",
        "/metadata/versions/2021-02-01",
    ],
)
@every("form", ["json", "text"])
def test_what_the_document_does_not_have_is_404(host: Host, path: str, form: str) -> None:
    reply = handle(replace(GOOD, path=path, query=f"{GOOD.query}&format={form}"), host)

    assert_is_error(reply, "element-missing")


def test_a_field_of_a_later_version_is_404(host: Host) -> None:
    reply = handle(replace(GOOD, path="/metadata/instance/compute/physicalZone"), host)

    assert_is_error(reply, "element-missing")


def test_a_service_older_than_versions_does_not_know_it(host: Host) -> None:
    host.newest = VERSIONS[VERSIONS.index(data.read("endpoints")["versions"]["introduced"]) - 1]

    assert_is_error(handle(replace(GOOD, path="/metadata/versions"), host), "category-unknown")


@pytest.mark.parametrize("newest", [None, *(row["newest"] for row in ERAS), *VERSIONS[:4]])
def test_up_to_three_newest_versions_are_named_newest_first(host: Host, newest: str | None) -> None:
    host.newest = newest
    wording = versions.era(newest)["version_missing"]

    assert_is_error(handle(replace(GOOD, query=""), host), wording, newest)
    body = json.loads(handle(replace(GOOD, query=""), host).body)
    assert body["newest-versions"] == list(versions.supported(newest))[:-4:-1]


def test_request_ids_are_the_hosts_chance(host: Host) -> None:
    def ids(seed: int) -> list[str]:
        host.random = Random(seed)
        return [dict(handle(GOOD, host).headers)["x-ms-request-id"] for _ in range(3)]

    assert ids(1) == ids(1) != ids(2)
    assert len(set(ids(1))) == 3
