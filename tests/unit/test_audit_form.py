"""The rules about the form of requests, over entries made by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_imds import data
from pytest_imds.audit.rules import RULES, findings
from pytest_imds.traffic.exchange import Exchange
from tests.audited import DOCUMENT, INSTANCE, TOKEN, exchange, in_order
from tests.every import every

BARE: dict[str, str] = {}
LEAF = "/metadata/instance/compute/name?api-version=2021-02-01"
ADDRESS = "/metadata/instance/network/interface/0/ipv4/ipAddress/0/privateIpAddress?api-version=2021-02-01"


def told(rule: str, exchanges: Sequence[Exchange], newest: str | None = None) -> list[tuple[tuple[int, ...], str]]:
    """What the rule finds: the numbers of the requests, and what is wrong."""
    found = findings(exchanges, newest, [rule])
    return [(tuple(request.number for request in finding.requests), finding.told) for finding in found]


def test_the_data_and_the_functions_are_about_the_same_rules() -> None:
    rows = data.read("rules")

    assert [*rows] == [*RULES]
    assert {row["severity"] for row in rows.values()} == {"error", "warning"}
    for name, row in rows.items():
        assert row["asks"].endswith("."), name
        assert row["change"], name


def test_a_finding_has_what_the_data_says_of_its_rule() -> None:
    (finding,) = findings([exchange(headers=BARE)], rules=["metadata-header"], server="http://127.0.0.1:1")
    row = data.read("rules")["metadata-header"]

    assert (finding.rule, finding.severity, finding.server) == ("metadata-header", "error", "http://127.0.0.1:1")
    assert (finding.asks, finding.change, finding.source) == (row["asks"], row["change"], row["source"])


@every(
    ("target", "headers", "says"),
    [
        (INSTANCE, BARE, "no header Metadata"),
        (INSTANCE, {"metadata": "false"}, "the header Metadata is 'false'"),
        (INSTANCE, {"metadata": ""}, "the header Metadata is ''"),
        ("/metadata/versions", BARE, "no header Metadata"),
        ("/metadata", BARE, "no header Metadata"),
        ("/Metadata/nothing", BARE, "no header Metadata"),
        ("//metadata//instance/", BARE, "no header Metadata"),
        (TOKEN, BARE, "no header Metadata"),
        ("/metadata/THIM/amd/certification", BARE, "no header Metadata"),
        ("/metadata/THIM/amd/certification?Metadata=true", BARE, None),
        ("/metadata/scheduledevents?api-version=2017-03-01", BARE, None),
        ("/metadata/scheduledevents?api-version=2020-07-01", BARE, "no header Metadata"),
        (INSTANCE, {"metadata": "True"}, None),
        ("/", BARE, None),
        ("/v1/token", BARE, None),
        ("/metadatas", BARE, None),
    ],
)
def test_metadata_header(target: str, headers: dict[str, str], says: str | None) -> None:
    requests = [exchange(target, 400, headers=headers)]

    assert told("metadata-header", requests) == ([] if says is None else [((1,), says)])


def test_a_request_to_managed_identity_without_the_header_is_a_probe_if_one_with_it_follows() -> None:
    probe, token = exchange(TOKEN, 400, headers=BARE), exchange(TOKEN)
    probed = in_order(probe, token)

    assert told("metadata-header", probed) == []
    assert told("probe-without-header", probed) == [((1,), "a probe without the header Metadata")]
    elsewhere = exchange(INSTANCE, 400, headers=BARE)
    for others in (
        [token, probe],
        [elsewhere, token],
        [probe],
        [probe, exchange()],
        [probe, exchange(TOKEN, 400, headers=BARE)],
    ):
        requests = in_order(*others)
        assert told("probe-without-header", requests) == []
        assert len(told("metadata-header", requests)) == sum(not one.headers for one in others)


def test_what_is_no_request_breaks_no_rule() -> None:
    nothing = exchange("", 400, method="", headers=BARE)

    assert list(findings([nothing] * 30)) == []


def test_no_forwarded_header() -> None:
    sent = {"metadata": "true", "x-forwarded-for": "10.0.0.1"}

    assert told("no-forwarded-header", [exchange(headers=sent)]) == [((1,), "the header X-Forwarded-For is '10.0.0.1'")]
    # The fault of the same name lets the service see the header that no client has sent.
    assert told("no-forwarded-header", [exchange(status=400, faults=("forwarded",))]) == []


def test_bypass_proxies() -> None:
    direct, proxied = exchange(), exchange(proxied=True)

    assert [numbers for numbers, _ in told("bypass-proxies", in_order(direct, proxied))] == [(2,)]
    assert told("bypass-proxies", [exchange("/elsewhere", proxied=True)]) == []


@every(
    ("target", "newest", "says"),
    [
        (INSTANCE, None, ""),
        (INSTANCE, "2021-02-01", ""),
        (INSTANCE, "2021-01-01", "the api-version '2021-02-01' is none that the service has; its newest is 2021-01-01"),
        ("/metadata/instance", "2021-01-01", "no api-version; its newest is 2021-01-01"),
        ("/metadata/instance?api-version=", "2021-01-01", "no api-version; its newest is 2021-01-01"),
        ("/metadata", "2021-01-01", "no api-version; its newest is 2021-01-01"),
        ("/metadata/scheduledevents?api-version=2021-02-01", None, "the api-version '2021-02-01' is *"),
        ("/metadata/identity/getplatformmetadata?cred-api-version=1.0", None, "the cred-api-version '1.0' is *"),
        # These take none, are there no more than a client may know, or do not exist.
        ("/metadata/versions", None, ""),
        ("/metadata/THIM/amd/certification", None, ""),
        ("/metadata/loadbalancer?api-version=2020-10-01", "2020-09-01", ""),
        ("/metadata/nothing", None, ""),
    ],
)
def test_api_version(target: str, newest: str | None, says: str) -> None:
    found = told("api-version", [exchange(target, 400)], newest)

    begins = says.partition("*")[0]
    assert [(numbers, text[: len(begins)]) for numbers, text in found] == ([((1,), begins)] if says else [])


def test_a_client_that_comes_to_an_api_version_which_the_service_has_was_negotiating() -> None:
    def at(version: str, **others: object) -> Exchange:
        return exchange(f"/metadata/instance?api-version={version}", **others)  # type: ignore[arg-type]

    new, none, good = at("2025-04-07", status=400), exchange("/metadata/instance", 400), at("2020-10-01")
    elsewhere = exchange(f"{DOCUMENT}&nonce=1")
    numbers = [
        [found for found, _ in told("api-version", in_order(*exchanges), "2021-02-01")]
        for exchanges in (
            [new, good],
            [new, none, good],
            [none, elsewhere, good],
            [none, elsewhere],
            [new, good, none],
            # It was not refused for its version.
            [exchange("/metadata/instance", 400, headers=BARE), good],
        )
    ]

    assert numbers == [[], [], [], [(1,)], [(3,)], [(1,)]]


def test_repeated_parameters() -> None:
    twice = exchange(f"{INSTANCE}&format=json&api-version=2021-02-01&format=json")

    assert told("repeated-parameters", [twice]) == [((1,), "the query has api-version, format more than once")]
    assert told("repeated-parameters", [exchange(f"{INSTANCE}&a=&b=")]) == []


@pytest.mark.parametrize("target", [LEAF, f"{LEAF}&format=json", ADDRESS, "/metadata/instance/compute/tagsList/3/name"])
def test_a_leaf_is_asked_for_as_text(target: str) -> None:
    joint = "&" if "?" in target else "?"

    assert told("text-for-leaves", [exchange(target, 400)]) == [((1,), "a leaf, without format=text")]
    assert told("text-for-leaves", [exchange(f"{target}{joint}format=Text".replace("format=json&", ""))]) == []


@every(
    "target",
    [
        INSTANCE,
        "/metadata/instance/compute",
        "/metadata/instance/network/interface/0",
        "/metadata/instance/network/interface",
        "/metadata/instance/compute/plan",
        "/metadata/instance/compute/nothing",
        "/metadata/nothing/compute/name",
        DOCUMENT,
    ],
)
def test_what_is_no_leaf_may_be_asked_for_as_it_is(target: str) -> None:
    assert told("text-for-leaves", [exchange(target)]) == []
