"""The paths below ``/metadata``: which there are, and that each follows the rules that the data has for it."""

from __future__ import annotations

import re
from dataclasses import fields
from itertools import combinations, product
from typing import Any

import pytest

from pytest_imds import ImdsServer, ServerFactory, data
from pytest_imds.host import Host
from pytest_imds.service import endpoints, gate, versions
from pytest_imds.service.handle import ANSWERS
from tests.every import every
from tests.http.wire import METADATA, Reply, Wire, api_versions, error, fetch, request

ROWS: dict[str, dict[str, Any]] = data.read("endpoints")
ERRORS: dict[str, dict[str, Any]] = data.read("errors")
VERBS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
# What a good request needs besides the api-version.
NEEDS = {"identity/oauth2/token": "resource=https://vault.azure.net"}
# Endpoints whose good request is one that this file has no body for, or that has no answer but a refusal.
UNANSWERED = {
    "": (404, "category-unknown"),
    "identity/issuecredential": (400, "identity-v2-csr"),
    "scheduledevents": (400, "events-malformed"),
}
NO_HEADER = [METADATA, ()]


@pytest.fixture
def server(make_imds_server: ServerFactory) -> ImdsServer:
    """A server that has every endpoint."""
    made = make_imds_server("confidential", identity_v2=True, load_balancer="standard")
    made.vm.reprovision()
    return made


def parameters(path: str) -> dict[str, str]:
    """Return the query that the endpoint takes, by what each part is."""
    row = ROWS[path]
    query = {}
    if "versions" in row or "since" in row:
        version = row["versions"][-1] if "versions" in row else max(row["since"], "2021-02-01")
        query["version"] = f"{row.get('version_parameter', 'api-version')}={version}"
    if path in NEEDS:
        query["needs"] = NEEDS[path]
    return query


def target(path: str, **changed: str) -> str:
    query = "&".join(part for part in {**parameters(path), **changed}.values() if part)
    return f"/metadata/{path}".rstrip("/") + (f"?{query}" if query else "")


def named(path: str, name: str) -> str:
    """Return the error that the endpoint gives for one of any endpoint."""
    own = ROWS[path].get("errors", {}).get(name, name)
    return str(versions.era(None).get(own, own))


def assert_is(reply: Reply, name: str) -> None:
    row = ERRORS[name]
    told = re.sub(r"\\\{[a-z_]+\\\}", ".*", re.escape(row["body"]))
    assert reply.told[:2] == (row["status"], row["content_type"]), (name, reply)
    assert re.fullmatch(told, reply.body.decode()), (name, reply.body)


def methods(path: str) -> list[str]:
    return list(ROWS[path].get("methods", ["GET"]))


@every("path", ROWS)
def test_a_good_request_is_answered_by_every_verb_of_the_endpoint(server: ImdsServer, path: str) -> None:
    for method in methods(path):
        reply = fetch(server, target(path), method=method)
        if method == "POST" or path == "":
            status, name = UNANSWERED[path]
            assert reply.status == status
            assert_is(reply, name)
        else:
            assert (reply.status, bool(reply.body)) == (200, True), reply


@every("path", ROWS)
def test_a_verb_that_the_endpoint_does_not_take_is_refused(server: ImdsServer, path: str) -> None:
    for method in (verb for verb in VERBS if verb not in methods(path)):
        assert_is(fetch(server, target(path), method=method), named(path, "method"))


@every("path", ROWS)
def test_without_the_header_it_is_refused(server: ImdsServer, path: str) -> None:
    for method in methods(path):
        reply = fetch(server, target(path), method=method, headers=())
        assert_is(reply, named(path, "header-missing"))
        assert reply.status == 400


@every("path", ROWS)
def test_a_parameter_stands_for_the_header_only_where_the_data_says_so(server: ImdsServer, path: str) -> None:
    stands = ROWS[path].get("header_parameter")
    for name in ("Metadata", ""):
        reply = fetch(server, target(path, extra=f"{name}=true"), method=methods(path)[0], headers=())
        if stands and name == stands:
            assert reply.status == 200
        else:
            assert_is(reply, named(path, "header-missing"))


@pytest.mark.parametrize("path", ROWS)
def test_a_version_needs_no_header_only_where_the_data_says_so(server: ImdsServer, path: str) -> None:
    free = ROWS[path].get("header_free_versions", [])
    with Wire(server) as wire:
        for version in sorted({*api_versions(), *ROWS[path].get("versions", [])}):
            wire.send(request(target(path, version=f"api-version={version}"), method=methods(path)[0], headers=()))
            assert (wire.reply().status == 200) == (version in free), version


@every("path", [path for path in ROWS if "since" in ROWS[path] or "versions" in ROWS[path]])
def test_it_has_its_versions_and_no_others(server: ImdsServer, path: str) -> None:
    row, method = ROWS[path], methods(path)[0]
    parameter = row.get("version_parameter", "api-version")
    has = row.get("versions") or [version for version in api_versions() if version >= row["since"]]
    good = UNANSWERED[path][0] if path == "" or method == "POST" else 200
    with Wire(server) as wire:
        for version in sorted({*api_versions(), *has, "2.0", "1.0", "latest"}):
            wire.send(request(target(path, version=f"{parameter}={version}"), method=method))
            reply = wire.reply()
            if version in has:
                assert reply.status == good, version
            else:
                assert_is(reply, named(path, "version_unsupported"))
    for missing in ("", f"{parameter}="):
        assert_is(fetch(server, target(path, version=missing), method=method), named(path, "version_missing"))


@every("path", ["versions", "THIM/amd/certification"])
@every("query", ["", "api-version=1999-01-01", "format=xml", "api-version="])
def test_what_takes_no_version_takes_any(server: ImdsServer, path: str, query: str) -> None:
    assert fetch(server, target(path, extra=query)).status == 200


@every("path", [path for path in ROWS if path])
def test_a_path_below_it_is_refused_in_its_words(server: ImdsServer, path: str) -> None:
    below = target(path).replace(path, f"{path}/nothing", 1)
    assert_is(fetch(server, below, method=methods(path)[0]), named(path, "element-missing"))


def near(path: str) -> list[str]:
    """Return paths that are nearly an endpoint."""
    parts = path.split("/")
    beginnings = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
    written = [path.upper(), path.capitalize(), path.swapcase(), f"{path}s", path[:-1], f"x{path}", f"{path}%00"]
    return sorted({*beginnings, *written, f"nothing/{path}", f"{path};x", f"./{path}"} - ROWS.keys())


@every("path", [path for path in ROWS if path])
@every("headers", NO_HEADER)
def test_a_path_that_is_no_endpoint_is_404_whatever_else_is_wrong(
    server: ImdsServer, path: str, headers: tuple[tuple[str, str], ...]
) -> None:
    with Wire(server) as wire:
        for other, method in product(near(path), ("GET", "POST")):
            wire.send(request(f"/metadata/{other}?a=1&a=2&format=xml", method=method, headers=headers))
            assert wire.reply().told == error("category-unknown"), other


@pytest.mark.parametrize("path", [path for path in ROWS if ROWS[path].get("asked_for")])
@pytest.mark.parametrize("headers", NO_HEADER, ids=["header", "no header"])
def test_an_endpoint_that_nobody_asked_for_is_no_endpoint(
    imds_server: ImdsServer, path: str, headers: tuple[tuple[str, str], ...]
) -> None:
    for method in ("GET", "POST"):
        assert fetch(imds_server, target(path), method=method, headers=headers).told == error("category-unknown")


def later_endpoints() -> dict[str, str]:
    """Return the endpoints that came after the first api-version, each with the newest version before it."""
    since = {path: row.get("since", row.get("introduced")) for path, row in ROWS.items()}
    first, *_ = api_versions()
    later = {path: came for path, came in since.items() if came and came > first}
    return {path: max(one for one in api_versions() if one < came) for path, came in later.items()}


@pytest.mark.parametrize(("path", "newest"), sorted(later_endpoints().items()))
@pytest.mark.parametrize("headers", NO_HEADER, ids=["header", "no header"])
def test_a_service_of_an_earlier_time_has_not_what_came_later(
    make_imds_server: ServerFactory, path: str, newest: str, headers: tuple[tuple[str, str], ...]
) -> None:
    server = make_imds_server(newest=newest)
    assert fetch(server, target(path), headers=headers).told == error("category-unknown")


# By the names of the checks in their order: what of a request each of them refuses, and the error of any endpoint.
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "metadata_header": ({"header": False}, "header-missing"),
    "forwarded": ({"headers": (("X-Forwarded-For", "10.0.0.1"),)}, "forwarded"),
    "repeated_parameters": ({"query": "a=1&a=2"}, "parameter-repeated"),
    "verb": ({"method": "PUT"}, "method"),
    "body": ({"body": b"x"}, "body-with-get"),
    "api_version": ({"version": ""}, "version_missing"),
    "response_format": ({"query": "format=xml"}, "format-unknown"),
    "element": ({"below": "/nothing"}, "element-missing"),
}


def faulty(server: ImdsServer, path: str, *changes: dict[str, Any]) -> Reply:
    change = {name: value for one in changes for name, value in one.items()}
    body = change.get("body", b"")
    query = "&".join(one["query"] for one in changes if "query" in one)
    headers = (
        *(METADATA if change.get("header", True) else ()),
        *change.get("headers", ()),
        *([("Content-Length", str(len(body)))] if body else []),
    )
    version = {"version": change["version"]} if "version" in change else {}
    whole = target(path, **version, extra=query).replace(path, path + change.get("below", ""), 1)
    return fetch(server, whole, method=change.get("method", methods(path)[0]), headers=headers, body=body)


def applies(path: str, check: str) -> bool:
    """Return whether the endpoint can be asked with this fault alone."""
    versioned = bool(parameters(path).get("version"))
    needed = {"api_version": versioned, "response_format": versioned, "body": methods(path)[0] == "GET"}
    return needed.get(check, True)


def test_every_check_of_the_gate_has_a_fault_here_in_its_order() -> None:
    assert [check.__name__ for check in gate.CHECKS] == list(FAULTS)


@every("path", [path for path in ROWS if path])
def test_of_two_faults_every_endpoint_tells_the_one_that_is_checked_first(server: ImdsServer, path: str) -> None:
    checks = [check for check in FAULTS if applies(path, check)]
    for earlier, later in combinations(checks, 2):
        if (earlier, later) != ("verb", "body"):  # a body is refused with a GET alone
            reply = faulty(server, path, FAULTS[earlier][0], FAULTS[later][0])
            assert_is(reply, named(path, FAULTS[earlier][1]))


@pytest.mark.parametrize(
    ("segments", "path", "route"),
    [
        ((), "", ()),
        (("instance",), "instance", ()),
        (("instance", "compute", "name"), "instance", ("compute", "name")),
        (("identity", "oauth2", "token"), "identity/oauth2/token", ()),
        (("identity", "oauth2", "token", "info"), "identity/oauth2/token", ("info",)),
        (("identity", "info", "identity", "info"), "identity/info", ("identity", "info")),
    ],
)
def test_the_longest_endpoint_is_found_and_the_rest_is_its_route(
    segments: tuple[str, ...], path: str, route: tuple[str, ...]
) -> None:
    found = endpoints.find(segments)
    assert found is not None
    assert (found.path, found.route) == (path, route)


@pytest.mark.parametrize("segments", [("identity",), ("nothing",), ("attested",), ("THIM", "amd"), ("oauth2",)])
def test_what_is_no_endpoint_is_not_found(segments: tuple[str, ...]) -> None:
    assert endpoints.find(segments) is None


def test_every_endpoint_has_an_answer_and_every_option_is_one_of_the_host() -> None:
    assert ANSWERS.keys() == ROWS.keys()
    assert {row["asked_for"] for row in ROWS.values() if "asked_for" in row} <= {field.name for field in fields(Host)}
