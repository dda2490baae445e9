"""Routes into the document of ``/metadata/instance``, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from pytest_imds import ImdsServer, Vm
from pytest_imds.tree import Json
from tests.every import every
from tests.http.wire import INSTANCE, Wire, error, fetch, request

VERSION = "api-version=2021-02-01"


def nodes(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every place of a document with its path, the document itself first."""
    yield path, node
    if isinstance(node, (dict, list)):
        for key, child in node.items() if isinstance(node, dict) else enumerate(node):
            yield from nodes(child, f"{path}/{key}")


def listed(node: Any) -> str:
    """Return what a listing of ``node`` has to say."""
    children = node.items() if isinstance(node, dict) else enumerate(node)
    return "\n".join(f"{key}/" if isinstance(child, (dict, list)) else f"{key}" for key, child in children)


@pytest.mark.parametrize("version", ["2017-03-01", "2021-02-01", "2025-11-11"])
@pytest.mark.imds_vm("multi-nic", data_disks=2, ipv6=True, tags={"a": "1", "b": ""})
def test_every_route_answers_its_part_of_the_document(imds_server: ImdsServer, version: str) -> None:
    whole = json.loads(fetch(imds_server, f"/metadata/instance?api-version={version}").body)
    with Wire(imds_server) as wire:
        for path, node in nodes(whole):
            for form in ("json", "text"):
                wire.send(request(f"/metadata/instance{path}?api-version={version}&format={form}"))
                told = wire.reply().told
                branch = isinstance(node, (dict, list))
                if form == "text":
                    text = listed(node) if branch else node
                    assert told == (200, "text/plain; charset=utf-8", text.encode()), path
                elif branch:
                    compact = json.dumps(node, separators=(",", ":"))
                    assert told == (200, "application/json; charset=utf-8", compact.encode()), path
                else:
                    assert told == error("leaf-without-text"), path


def test_route_to_an_object_is_the_bare_object(imds_server: ImdsServer, imds_vm: Vm) -> None:
    reply = fetch(imds_server, f"/metadata/instance/compute/osProfile?{VERSION}")
    assert json.loads(reply.body)["adminUsername"] == imds_vm.os_profile.admin_username


def test_route_to_an_array_is_the_bare_array(imds_server: ImdsServer, imds_vm: Vm) -> None:
    reply = fetch(imds_server, f"/metadata/instance/network/interface?{VERSION}")
    assert [nic["macAddress"] for nic in json.loads(reply.body)] == [nic.mac_address for nic in imds_vm.interfaces]


def test_route_goes_through_an_index(imds_server: ImdsServer, imds_vm: Vm) -> None:
    path = "/metadata/instance/network/interface/0/ipv4/ipAddress/0/privateIpAddress"
    reply = fetch(imds_server, f"{path}?{VERSION}&format=text")
    assert reply.body.decode() == imds_vm.interfaces[0].ipv4.ip_addresses[0].private_ip_address


def test_parameters_come_in_any_order(imds_server: ImdsServer, imds_vm: Vm) -> None:
    reply = fetch(imds_server, f"/metadata/instance/compute/vmId?format=text&{VERSION}")
    assert reply.body.decode() == imds_vm.vm_id


@every("path", ["", "/compute", "/network/interface", "/network/interface/0"])
@every("form", ["json", "text"])
def test_trailing_slash_changes_nothing(imds_server: ImdsServer, path: str, form: str) -> None:
    with_slash = fetch(imds_server, f"/metadata/instance{path}/?{VERSION}&format={form}")
    assert with_slash.told == fetch(imds_server, f"/metadata/instance{path}?{VERSION}&format={form}").told
    assert with_slash.status == 200


def test_trailing_slash_changes_nothing_on_a_leaf(imds_server: ImdsServer, imds_vm: Vm) -> None:
    reply = fetch(imds_server, f"/metadata/instance/compute/vmId/?{VERSION}&format=text")
    assert reply.body.decode() == imds_vm.vm_id


@pytest.mark.parametrize(
    "path",
    [
        "//metadata/instance/compute/vmId",
        "/metadata//instance/compute/vmId",
        "/metadata/instance//compute///vmId",
        "////metadata/instance/compute/vmId//",
    ],
)
def test_repeated_slashes_count_as_one(imds_server: ImdsServer, imds_vm: Vm, path: str) -> None:
    assert fetch(imds_server, f"{path}?{VERSION}&format=text").body.decode() == imds_vm.vm_id


@pytest.mark.parametrize("form", ["text", "TEXT", "Text"])
def test_format_is_taken_in_any_case(imds_server: ImdsServer, form: str) -> None:
    assert fetch(imds_server, f"/metadata/instance?{VERSION}&format={form}").body == b"compute/\nnetwork/"


@every("form", ["xml", "yaml", "jsonp", "text%20", ""])
@every("path", ["", "/compute/name", "/nothing"])
def test_unknown_format_is_400(imds_server: ImdsServer, path: str, form: str) -> None:
    assert fetch(imds_server, f"/metadata/instance{path}?{VERSION}&format={form}").told == error("format-unknown")


def test_listing_of_the_only_interface_is_two_bytes(imds_server: ImdsServer) -> None:
    assert fetch(imds_server, f"/metadata/instance/network/interface/?{VERSION}&format=text").body == b"0/"


@pytest.mark.imds_vm("minimal")
def test_listing_of_an_empty_array_is_empty(imds_server: ImdsServer) -> None:
    reply = fetch(imds_server, f"/metadata/instance/compute/tagsList?{VERSION}&format=text")
    assert (reply.status, reply.body) == (200, b"")


def test_empty_leaf_is_200_with_an_empty_body(imds_server: ImdsServer) -> None:
    reply = fetch(imds_server, f"/metadata/instance/compute/customData?{VERSION}&format=text")
    assert reply.told == (200, "text/plain; charset=utf-8", b"")
    assert reply.header("Content-Length") == "0"


@every(
    "path",
    [
        "/nothing",
        "/compute/nothing",
        "/compute/vmid",
        "/Compute",
        "/compute/vmId/0",
        "/compute/vmId/nothing",
        "/network/interface/1",
        "/network/interface/-1",
        "/network/interface/00",
        "/network/interface/0x0",
        "/network/interface/%D9%A0",
        "/network/interface/nothing",
        "/network/interface/0/ipv6/ipAddress/0",
        "/compute/resourceId/..",
        "/extended",
    ],
)
@every("form", ["json", "text"])
def test_place_that_the_document_does_not_have_is_404(imds_server: ImdsServer, path: str, form: str) -> None:
    assert fetch(imds_server, f"/metadata/instance{path}?{VERSION}&format={form}").told == error("element-missing")


def test_field_of_a_later_api_version_is_404(imds_server: ImdsServer) -> None:
    target = "/metadata/instance/compute/zone?format=text&api-version="
    assert fetch(imds_server, f"{target}2017-08-01").told == error("element-missing")
    assert fetch(imds_server, f"{target}2017-12-01").status == 200


@pytest.mark.parametrize("value", ["true", "True"])
def test_extended_adds_its_member(imds_server: ImdsServer, value: str) -> None:
    reply = fetch(imds_server, f"/metadata/instance?api-version=2021-08-01&extended={value}")
    document = json.loads(reply.body)
    assert document["extended"] == {"compute": {"hasCustomData": False, "ppsType": "None"}}
    assert list(document) == ["compute", "extended", "network"]


def test_extended_has_the_one_boolean_and_its_text_is_in_lower_case(imds_server: ImdsServer, imds_vm: Vm) -> None:
    imds_vm.has_custom_data = True
    path = "/metadata/instance/extended/compute"
    query = "api-version=2021-08-01&extended=true"
    assert fetch(imds_server, f"{path}?{query}").body == b'{"hasCustomData":true,"ppsType":"None"}'
    assert fetch(imds_server, f"{path}/hasCustomData?{query}&format=text").body == b"true"


@pytest.mark.parametrize(
    "query", ["api-version=2021-05-01&extended=true", "api-version=2021-08-01&extended=false", "api-version=2021-08-01"]
)
def test_extended_is_not_there_otherwise(imds_server: ImdsServer, query: str) -> None:
    assert list(json.loads(fetch(imds_server, f"/metadata/instance?{query}").body)) == ["compute", "network"]


@pytest.mark.imds_vm("classic")
def test_classic_vm_has_its_network_alone(imds_server: ImdsServer) -> None:
    assert list(json.loads(fetch(imds_server, INSTANCE).body)) == ["network"]
    assert fetch(imds_server, f"/metadata/instance/compute?{VERSION}").told == error("element-missing")
    assert fetch(imds_server, f"/metadata/instance?{VERSION}&format=text").body == b"network/"


@pytest.mark.imds_vm(tags={"größe": "名前 \N{GRINNING FACE}"})
def test_tag_outside_ascii_is_utf_8_in_json(imds_server: ImdsServer) -> None:
    reply = fetch(imds_server, f"/metadata/instance/compute/tagsList?{VERSION}")
    assert reply.body == '[{"name":"größe","value":"名前 \N{GRINNING FACE}"}]'.encode()
    assert reply.header("Content-Length") == str(len(reply.body))


@pytest.mark.imds_vm(tags={"größe": "名前 \N{GRINNING FACE}"})
def test_tag_outside_ascii_is_utf_8_in_text(imds_server: ImdsServer) -> None:
    reply = fetch(imds_server, f"/metadata/instance/compute/tags?{VERSION}&format=text")
    assert reply.body == "größe:名前 \N{GRINNING FACE}".encode()


def test_route_is_percent_encoded_utf_8(imds_server: ImdsServer, imds_vm: Vm) -> None:
    imds_vm.override("/compute/größe", "XL")
    reply = fetch(imds_server, f"/metadata/instance/compute/{quote('größe')}?{VERSION}&format=text")
    assert reply.body == b"XL"


def change_location(vm: Vm) -> None:
    vm.location = "atlantis"


def change_address(vm: Vm) -> None:
    vm.interfaces[0].ipv4.ip_addresses[0].private_ip_address = "atlantis"


def change_tags(vm: Vm) -> None:
    vm.tags["a"] = "atlantis"


def change_disk(vm: Vm) -> None:
    vm.storage_profile.os_disk.managed_disk.id = "atlantis"


def override_size(vm: Vm) -> None:
    vm.override("/compute/vmSize", "atlantis")


@pytest.mark.imds_vm(tags={"a": "b"})
@pytest.mark.parametrize("change", [change_location, change_address, change_tags, change_disk, override_size])
def test_change_of_the_vm_is_served_by_the_next_request(
    imds_server: ImdsServer, imds_vm: Vm, change: Callable[[Vm], None]
) -> None:
    with Wire(imds_server) as wire:
        wire.send(request(INSTANCE))
        assert b"atlantis" not in wire.reply().body
        change(imds_vm)
        wire.send(request(INSTANCE))
        assert b"atlantis" in wire.reply().body


def test_change_of_an_overridden_value_is_served_by_the_next_request(imds_server: ImdsServer, imds_vm: Vm) -> None:
    plan: dict[str, Json] = {"name": "gold"}
    imds_vm.override("/compute/plan", plan)
    target = f"/metadata/instance/compute/plan/name?{VERSION}&format=text"
    assert fetch(imds_server, target).body == b"gold"
    plan["name"] = "silver"
    assert fetch(imds_server, target).body == b"silver"
