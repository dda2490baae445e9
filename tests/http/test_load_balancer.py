"""``/metadata/loadbalancer``: public addresses, rules, tunnels, and every refusal, over HTTP."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import quote

import pytest

from pytest_imds import ImdsServer, ImdsUsageError, ServerFactory, Vm, data
from pytest_imds.vm.load_balancer import REASONS, Frontend, InboundRule, LoadBalancer, TunnelInterface
from tests.http.wire import INSTANCE, METADATA, api_versions, error, fetch

PATH = "/metadata/loadbalancer"
TARGET = f"{PATH}?api-version=2020-10-01"
JSON = "application/json; charset=utf-8"
MEMBERS: dict[str, Any] = data.read("loadbalancer")["document"]["members"]
LIMITS = {name: data.read("loadbalancer")["limits"][name] for name in ("key", "value", "header")}
RANGES = data.read("network")["public_ranges"]
# What would end a JSON string, or be taken for a place in the text.
HOSTILE = ['"', "\\", '"}\n{"', "{path}{method}{value}{parameter}{limit}", "\x00\x1f", "größe \N{GRINNING FACE}"]


def shown(server: ImdsServer) -> dict[str, Any]:
    reply = fetch(server, TARGET)
    assert reply.told[:2] == (200, JSON), reply.body
    document: dict[str, Any] = json.loads(reply.body)
    assert reply.body == json.dumps(document, separators=(",", ":")).encode()
    assert list(document) == ["loadbalancer"]
    return dict(document["loadbalancer"])


def told(status: int, text: str) -> tuple[int, str, bytes]:
    """Return what a refusal says: the text in a JSON object."""
    return status, JSON, json.dumps({"error": text}, separators=(",", ":"), ensure_ascii=False).encode()


def private(vm: Vm) -> str:
    return vm.interfaces[0].ipv4.ip_addresses[0].private_ip_address


def in_instance(server: ImdsServer) -> str:
    (address,) = json.loads(fetch(server, INSTANCE).body)["network"]["interface"][0]["ipv4"]["ipAddress"]
    return str(address["publicIpAddress"])


@pytest.mark.imds_vm(public_ip="standard")
def test_a_standard_public_address_is_shown_here_and_not_in_instance(imds_server: ImdsServer, imds_vm: Vm) -> None:
    document = shown(imds_server)
    (frontend,) = document["publicIpAddresses"]

    assert list(document) == ["publicIpAddresses", "inboundRules", "outboundRules"]
    assert ip_address(frontend["frontendIpAddress"]) in ip_network(RANGES["vm"])
    assert frontend["privateIpAddress"] == private(imds_vm)
    assert document["inboundRules"] == document["outboundRules"] == []
    assert in_instance(imds_server) == ""


@pytest.mark.imds_vm(public_ip="basic")
def test_a_basic_public_address_is_shown_in_instance_and_not_here(imds_server: ImdsServer) -> None:
    assert fetch(imds_server, TARGET).told == error("loadbalancer-none")
    assert ip_address(in_instance(imds_server)) in ip_network(RANGES["vm"])


@pytest.mark.parametrize("profile", ["linux", "windows", "scale-set", "classic"])
def test_a_vm_with_neither_is_404_in_the_recorded_words(make_imds_server: ServerFactory, profile: str) -> None:
    reply = fetch(make_imds_server(profile), TARGET)
    assert reply.told == told(
        404,
        "No load balancer metadata is found. Please check if your VM is using any non-basic SKU load balancer and "
        "retry later.",
    )


@pytest.mark.imds_vm(load_balancer="standard")
def test_a_standard_load_balancer_has_rules_in_both_directions(imds_server: ImdsServer, imds_vm: Vm) -> None:
    document = shown(imds_server)
    (outbound,) = document["outboundRules"]
    frontends = {rule["frontendIpAddress"] for rule in (*document["inboundRules"], outbound)}

    assert list(document) == ["publicIpAddresses", "inboundRules", "outboundRules"]
    assert document["publicIpAddresses"] == []
    assert [
        (rule["protocol"], rule["frontendPort"], rule["backendPort"], rule["privateIpAddress"])
        for rule in document["inboundRules"]
    ] == [("Tcp", outer, inner, private(imds_vm)) for outer, inner in [(80, 80), (443, 8443)]]
    assert len(frontends) == 1
    assert ip_address(frontends.pop()) in ip_network(RANGES["load_balancer"])
    assert outbound["privateIpAddress"] == private(imds_vm)


@pytest.mark.imds_vm(load_balancer="gateway")
def test_a_gateway_load_balancer_has_tunnels(imds_server: ImdsServer, imds_vm: Vm) -> None:
    document = shown(imds_server)
    tunnels = document["tunnelInterfaces"]

    assert list(document) == list(MEMBERS)
    assert [(one["type"], one["identifier"], one["gatewayPort"], one["protocol"]) for one in tunnels] == [
        ("internal", 800, 10800, "vxlan"),
        ("external", 801, 10801, "vxlan"),
    ]
    assert {one["localIpAddress"] for one in tunnels} == {private(imds_vm)}
    (gateway,) = {one["gatewayIpAddress"] for one in tunnels}
    assert gateway != private(imds_vm)
    assert ip_address(gateway) in ip_network(f"{private(imds_vm)}/24", strict=False)


@pytest.mark.parametrize("load_balancer", ["standard", "gateway"])
def test_a_public_address_and_a_load_balancer_are_shown_together(
    make_imds_server: ServerFactory, load_balancer: str
) -> None:
    document = shown(make_imds_server(public_ip="standard", load_balancer=load_balancer))

    assert len(document["publicIpAddresses"]) == 1
    assert bool(document["inboundRules"]) == (load_balancer == "standard")
    assert ("tunnelInterfaces" in document) == (load_balancer == "gateway")


@pytest.mark.parametrize("part", MEMBERS)
def test_members_have_their_order_and_ports_are_numbers(make_imds_server: ServerFactory, part: str) -> None:
    kind = "gateway" if part == "tunnelInterfaces" else "standard"
    items = shown(make_imds_server(public_ip="standard", load_balancer=kind))[part]

    assert items
    for item in items:
        assert list(item) == list(MEMBERS[part]["members"])
        assert {name: type(value) for name, value in item.items()} == {
            name: int if name.endswith("Port") or name == "identifier" else str for name in item
        }


def test_what_a_test_assigns_is_served_by_the_next_request(imds_server: ImdsServer, imds_vm: Vm) -> None:
    imds_vm.load_balancer.inbound_rules.append(InboundRule("1.2.3.4", 0, 0, "10.0.0.4", protocol="all"))
    rule = {"frontendIpAddress": "1.2.3.4", "protocol": "all", "frontendPort": 0, "backendPort": 0}
    assert shown(imds_server)["inboundRules"] == [rule | {"privateIpAddress": "10.0.0.4"}]

    tunnel = TunnelInterface("10.0.0.9", 10800, 800, "internal", "10.0.0.4", 10801, protocol="x")
    imds_vm.load_balancer = LoadBalancer([Frontend("5.6.7.8", '"')], tunnel_interfaces=[tunnel])
    document = shown(imds_server)
    assert document["publicIpAddresses"] == [{"frontendIpAddress": "5.6.7.8", "privateIpAddress": '"'}]
    assert document["inboundRules"] == []
    (shown_tunnel,) = document["tunnelInterfaces"]
    assert [*shown_tunnel.values()] == ["10.0.0.9", 10800, 800, "internal", "x", "10.0.0.4", 10801]

    imds_vm.load_balancer = LoadBalancer()
    assert fetch(imds_server, TARGET).told == error("loadbalancer-none")


def test_the_vms_of_a_fleet_are_behind_one_load_balancer(make_imds_server: ServerFactory) -> None:
    servers = make_imds_server("scale-set", count=3, public_ip="standard", load_balancer="standard")
    documents = [shown(server) for server in servers]

    assert len({rule["frontendIpAddress"] for one in documents for rule in one["inboundRules"]}) == 1
    assert len({rule["privateIpAddress"] for one in documents for rule in one["inboundRules"]}) == 3
    assert len({one["publicIpAddresses"][0]["frontendIpAddress"] for one in documents}) == 3


@pytest.mark.imds_vm(load_balancer="standard")
def test_it_has_the_api_versions_from_2020_10_01_on(imds_server: ImdsServer) -> None:
    statuses = {version: fetch(imds_server, f"{PATH}?api-version={version}").status for version in api_versions()}
    assert statuses == {version: 200 if version >= "2020-10-01" else 400 for version in statuses}


@pytest.mark.parametrize("query", ["&format=text", "&format=json", "&FORMAT=xml", "&cid=1"])
@pytest.mark.imds_vm(load_balancer="standard")
def test_it_is_json_whatever_else_is_asked_for(imds_server: ImdsServer, query: str) -> None:
    assert fetch(imds_server, TARGET + query).told == fetch(imds_server, TARGET).told


@pytest.mark.parametrize("query", ["", "?api-version=", "?format=xml", "?Api-Version=2020-10-01"])
def test_missing_api_version_is_400(imds_server: ImdsServer, query: str) -> None:
    text = 'Missing required parameter "api-version". Please fix the request and retry.'
    assert fetch(imds_server, f"{PATH}{query}").told == told(400, text)


@pytest.mark.parametrize("value", ["2020-09-01", "2017-03-01", "latest", *HOSTILE])
def test_api_version_that_it_does_not_have_is_400(imds_server: ImdsServer, value: str) -> None:
    text = (
        f'Parameter value is not allowed, or parameter value "{value}" is not allowed for parameter "api-version". '
        "Please fix the request and retry."
    )
    assert fetch(imds_server, f"{PATH}?api-version={quote(value)}").told == told(400, text)


@pytest.mark.parametrize("value", ["xml", "", *HOSTILE])
def test_unknown_format_is_400(imds_server: ImdsServer, value: str) -> None:
    text = (
        f'Parameter value is not allowed, or parameter value "{value}" is not allowed for parameter "format". '
        "Please fix the request and retry."
    )
    assert fetch(imds_server, f"{TARGET}&format={quote(value)}").told == told(400, text)


@pytest.mark.parametrize("query", ["&api-version=2020-10-01", "&a=1&a=2", "&format=json&format=text"])
def test_repeated_parameter_is_400(imds_server: ImdsServer, query: str) -> None:
    text = "Unexpected request. Please check the query parameters and retry."
    assert fetch(imds_server, TARGET + query).told == told(400, text)


@pytest.mark.parametrize("verb", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "A!#$%&'*+-.^_`|~Z"])
def test_verb_other_than_get_is_405(imds_server: ImdsServer, verb: str) -> None:
    text = f'Http method is not allowed: Path = "{PATH}", Method = "{verb}"'
    assert fetch(imds_server, TARGET, method=verb).told == told(405, text)


@pytest.mark.parametrize("below", ["inboundRules", "publicIpAddresses/0", "a/", *HOSTILE])
@pytest.mark.imds_vm(load_balancer="standard")
def test_path_below_it_is_404(imds_server: ImdsServer, below: str) -> None:
    text = f'API is not found: Path = "{PATH}/{below}", Method = "GET"'
    reply = fetch(imds_server, f"{PATH}/{quote(below)}?api-version=2020-10-01")
    assert reply.told == told(404, text)


@pytest.mark.parametrize("below", HOSTILE)
def test_path_of_another_verb_is_told_as_it_came(imds_server: ImdsServer, below: str) -> None:
    text = f'Http method is not allowed: Path = "{PATH}/{below}", Method = "POST"'
    assert fetch(imds_server, f"{PATH}/{quote(below)}", method="POST").told == told(405, text)


def test_body_is_400(imds_server: ImdsServer) -> None:
    headers = (*METADATA, ("Content-Length", "1"))
    text = "Request body is larger than MaxBodyLength: 0"
    assert fetch(imds_server, TARGET, headers=headers, body=b"x").told == told(400, text)


def over(limit: str, length: int) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return a target and headers of which one thing is ``length`` long."""
    if limit == "header":
        return TARGET, (*METADATA, ("X-Long", "x" * length))
    return TARGET + (f"&{'x' * length}=1" if limit == "key" else f"&x={'x' * length}"), METADATA


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("key", "Parameter key length is larger than MaxParameterKeyLength"),
        ("value", "Parameter value length is larger than MaxParameterValueLength"),
        ("header", "Parameter header value length is larger than MaxHeaderValueLength"),
    ],
)
@pytest.mark.imds_vm(load_balancer="standard")
def test_what_is_too_long_is_400_and_what_is_as_long_as_allowed_is_not(
    imds_server: ImdsServer, limit: str, words: str
) -> None:
    target, headers = over(limit, LIMITS[limit])
    assert fetch(imds_server, target, headers=headers).status == 200
    target, headers = over(limit, LIMITS[limit] + 1)
    assert fetch(imds_server, target, headers=headers).told == told(400, f"{words}: {LIMITS[limit]}")


REFUSALS = {
    "not-ready": (404, "Load Balancer metadata API is not available right now. Please retry later"),
    "not-available": (404, "/metadata/loadbalancer is not currently available"),
    "internal": (503, "Internal service unavailable. Please retry later"),
}


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("load_balancer", ["", "standard"])
def test_it_can_be_made_to_refuse_and_to_answer_again(
    make_imds_server: ServerFactory, reason: str, load_balancer: str
) -> None:
    server = make_imds_server(load_balancer=load_balancer)
    before = fetch(server, TARGET).told

    server.vm.load_balancer.refuse(reason)
    assert [fetch(server, TARGET).told for _ in range(2)] == [told(*REFUSALS[reason])] * 2
    assert fetch(server, PATH).told == told(
        400, 'Missing required parameter "api-version". Please fix the request and retry.'
    )
    server.vm.load_balancer.refuse(None)
    assert fetch(server, TARGET).told == before


@pytest.mark.parametrize("reason", ["", "not_ready", "Internal", 503])
def test_an_unknown_reason_is_refused_and_the_known_ones_are_named(imds_vm: Vm, reason: Any) -> None:
    with pytest.raises(ImdsUsageError, match=r"(?s)unknown reason .*known: internal, not-available, not-ready"):
        imds_vm.load_balancer.refuse(reason)


def test_missing_header_and_forwarded_are_those_of_every_path(imds_server: ImdsServer) -> None:
    assert fetch(imds_server, TARGET, headers=()).told == error("header-missing")
    assert fetch(imds_server, TARGET, headers=(*METADATA, ("X-Forwarded-For", "x"))).told == error("forwarded")
