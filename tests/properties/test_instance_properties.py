"""/metadata/instance holds for any VM, any api-version, any route; garbage never breaks it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pytest_imds import Vm, data
from pytest_imds.service.handle import handle
from pytest_imds.service.message import Reply, Request
from pytest_imds.vm import profiles
from pytest_imds.vm.provider import generate, generator
from tests import hosts

SCHEMA: dict[str, dict[str, Any]] = data.read("schema")
VERSIONS: list[str] = [row["version"] for row in data.read("api_versions")["versions"]]
FAKE = generator()

moderate = settings(deadline=None, max_examples=40)

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,13}[a-z0-9]", fullmatch=True)
# Every profile takes each of these, in any combination.
KNOBS = st.fixed_dictionaries(
    {},
    optional={
        "name": NAMES,
        "computer_name": NAMES,
        "admin_username": NAMES,
        "resource_group_name": NAMES,
        "vm_id": st.uuids().map(str),
        "tags": st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=20), max_size=4),
        "user_data": st.text(max_size=50) | st.binary(max_size=50),
        "password": st.booleans(),
        "license_type": st.sampled_from(["", "Windows_Server", "RHEL_BYOS"]),
        "scale_set": st.booleans() | NAMES,
        "orchestration": st.sampled_from(["uniform", "flexible"]),
        "instance_id": st.integers(0, 99999),
        "encryption_at_host": st.booleans(),
        "data_disks": st.integers(0, 4),
        "nics": st.integers(1, 2),
        "ipv6": st.booleans(),
        "public_ip": st.sampled_from(["", "basic"]),
        "classic": st.booleans(),
    },
)
SEEDS = st.integers(0, 2**32) | st.text(max_size=30)


@st.composite
def vms(draw: st.DrawFn) -> Vm:
    vm = generate(FAKE, draw(st.sampled_from(profiles.names())), draw(SEEDS), draw(KNOBS))
    vm.has_custom_data = draw(st.booleans())
    vm.platform_sub_fault_domain = draw(st.text(max_size=10))
    return vm


def ask(vm: Vm, route: str, **parameters: str) -> Reply:
    request = Request("GET", f"/metadata/instance{route}", urlencode(parameters), {"metadata": "true"})
    return handle(request, hosts.host(vm))


def whole_document(vm: Vm, parameters: dict[str, str]) -> Any:
    reply = ask(vm, "", **parameters)
    assert reply.status == 200
    return json.loads(reply.body)


def nodes(node: Any, route: str = "") -> Iterator[tuple[str, Any]]:
    yield route, node
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from nodes(child, f"{route}/{key}")


@cache
def validator(version: str, *, extended: bool) -> Draft202012Validator:
    return Draft202012Validator(json_schema(version, "", optional=frozenset() if extended else frozenset({"extended"})))


def json_schema(version: str, parent: str, *, optional: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The JSON Schema of the object at ``parent`` in ``version``: these members and no others."""
    members = {
        path.rpartition(".")[2]: json_type(version, path, field)
        for path, field in SCHEMA.items()
        if path.rpartition(".")[0] == parent and field["since"] <= version <= field.get("until", version)
    }
    properties = {key.removesuffix("[]"): member for key, member in members.items() if key not in optional}
    # A VM of the classic deployment model has no compute.
    required = sorted(properties.keys() - {"compute"}) if not parent else sorted(properties)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def json_type(version: str, path: str, field: dict[str, Any]) -> dict[str, Any]:
    if field["type"] == "object":
        return json_schema(version, path)
    if field["type"] == "array":
        return {"type": "array", "items": json_schema(version, path)}
    return {"type": field["type"]}


@moderate
@given(vm=vms(), version=st.sampled_from(VERSIONS), extended=st.booleans())
def test_the_document_of_any_vm_in_any_version_is_as_the_schema_says(vm: Vm, version: str, extended: bool) -> None:
    document = whole_document(vm, {"api-version": version, "extended": str(extended).lower()})

    validator(version, extended=extended).validate(document)
    assert ("compute" in document) is not vm.classic


@moderate
@given(vm=vms(), version=st.sampled_from(VERSIONS), trailing=st.sampled_from(["", "/"]))
def test_walking_by_route_is_indexing_the_whole_document(vm: Vm, version: str, trailing: str) -> None:
    parameters = {"api-version": version, "extended": "true"}
    for route, node in nodes(whole_document(vm, parameters)):
        in_json = ask(vm, route + trailing, **parameters)
        in_text = ask(vm, route + trailing, **parameters, format="text")
        assert in_text.status == 200, route
        if isinstance(node, (dict, list)):
            assert (in_json.status, json.loads(in_json.body)) == (200, node), route
            assert in_text.body.decode() == "\n".join(listed(node)), route
        else:
            assert in_json.status == 400, route
            assert in_text.body.decode() == (json.dumps(node) if isinstance(node, bool) else node), route


def listed(node: dict[str, Any] | list[Any]) -> list[str]:
    children = node.items() if isinstance(node, dict) else enumerate(node)
    return [f"{key}/" if isinstance(child, (dict, list)) else str(key) for key, child in children]


SEGMENTS = st.sampled_from(
    [
        "metadata",
        "Metadata",
        "instance",
        "versions",
        "compute",
        "network",
        "interface",
        "tagsList",
        "0",
        "00",
        "-1",
        ".",
    ]
) | st.text(max_size=12)
PATHS = st.text(max_size=30) | st.lists(SEGMENTS, max_size=8).map(lambda parts: "/" + "/".join(parts))
PARAMETERS = st.tuples(
    st.sampled_from(["api-version", "format", "extended", "Format", ""]) | st.text(max_size=8),
    st.sampled_from([VERSIONS[0], VERSIONS[-1], "json", "text", "true"]) | st.text(max_size=8),
)
QUERIES = st.text(max_size=40) | st.lists(PARAMETERS, max_size=4).map(urlencode)
HEADERS = st.dictionaries(
    st.sampled_from(["metadata", "x-forwarded-for", "accept"]),
    st.sampled_from(["true", "True", "false"]) | st.text(max_size=8),
)


@settings(moderate, max_examples=200)
@given(
    method=st.sampled_from(["GET", "GET", "GET", "HEAD", "POST", "BREW"]),
    path=PATHS,
    query=QUERIES,
    headers=HEADERS | st.just({"metadata": "true"}),
    body=st.binary(max_size=4),
    newest=st.none() | st.sampled_from(VERSIONS),
)
def test_garbage_is_answered_and_never_with_a_server_error(
    method: str, path: str, query: str, headers: dict[str, str], body: bytes, newest: str | None
) -> None:
    reply = handle(Request(method, path, query, headers, body), hosts.host(one_vm(), newest))

    assert 200 <= reply.status < 500
    if method != "HEAD":
        assert dict(reply.headers)["Content-Length"] == str(len(reply.body))


@cache
def one_vm() -> Vm:
    return generate(FAKE, "multi-nic", 0, {})


@moderate
@given(profile=st.sampled_from(profiles.names()), seed=SEEDS, knobs=KNOBS, other=vms())
def test_a_seed_gives_the_same_vm_again_whatever_was_made_before(
    profile: str, seed: int | str, knobs: dict[str, Any], other: Vm
) -> None:
    first = generate(FAKE, profile, seed, knobs)
    generate(FAKE, other.profile, other.seed, {})

    assert generate(generator(), profile, seed, knobs) == first
