"""What a request has to pass before an endpoint sees it, over HTTP."""

from __future__ import annotations

import http.client
import json

from pytest_imds import ImdsServer
from tests.every import every
from tests.http.wire import INSTANCE, METADATA, TIMEOUT_S, api_versions, error, fetch

VERBS = ("POST", "PUT", "DELETE", "PATCH", "OPTIONS")
LEAF = "/metadata/instance/compute/name?api-version=2021-02-01&format=text"
FORWARDED = (*METADATA, ("X-Forwarded-For", "10.0.0.1"))
NEWEST = api_versions()[:-4:-1]


@every("name", ["Metadata", "metadata", "METADATA", "MetaData"])
@every("value", ["true", "True", "TRUE", "  true\t"])
def test_metadata_header_is_taken_in_any_case(imds_server: ImdsServer, name: str, value: str) -> None:
    assert fetch(imds_server, INSTANCE, headers=[(name, value)]).status == 200


@every("value", [None, "false", "", "1", "yes", "true, true", "truee"])
@every(
    "target",
    [INSTANCE, LEAF, "/metadata/versions", "/metadata", "/metadata/instance/nothing", "/metadata/loadbalancer"],
)
def test_missing_or_wrong_metadata_header_is_400(imds_server: ImdsServer, target: str, value: str | None) -> None:
    headers = [] if value is None else [("Metadata", value)]
    assert fetch(imds_server, target, headers=headers).told == error("header-missing")


@every("parameter", ["Metadata=true", "metadata=true", "=true"])
def test_a_parameter_does_not_stand_for_the_header(imds_server: ImdsServer, parameter: str) -> None:
    assert fetch(imds_server, f"{INSTANCE}&{parameter}", headers=[]).told == error("header-missing")


@every("name", ["X-Forwarded-For", "x-forwarded-for", "X-FORWARDED-FOR"])
@every("value", ["10.0.0.1", "10.0.0.1, 10.0.0.2", ""])
def test_forwarded_request_is_400(imds_server: ImdsServer, name: str, value: str) -> None:
    assert fetch(imds_server, INSTANCE, headers=[*METADATA, (name, value)]).told == error("forwarded")


@every(
    "query",
    [
        "api-version=2021-02-01&api-version=2021-02-01",
        "api-version=2021-02-01&api-version=2020-09-01",
        "api-version=2021-02-01&format=json&format=text",
        "api-version=2021-02-01&other=1&other=1",
        "api-version=2021-02-01&other&other",
    ],
)
def test_repeated_parameter_is_400(imds_server: ImdsServer, query: str) -> None:
    assert fetch(imds_server, f"/metadata/instance?{query}").told == error("parameter-repeated")


@every("parameter", ["cid=4a5f", "_=1", "nonce=1234567890", "empty=", "bare", "%20=%00"])
def test_unknown_parameter_is_ignored(imds_server: ImdsServer, parameter: str) -> None:
    assert fetch(imds_server, f"{INSTANCE}&{parameter}").body == fetch(imds_server, INSTANCE).body


@every("query", ["", "?", "?api-version=", "?version=2021-02-01", "?format=text"])
@every("path", ["/metadata", "/metadata/instance", "/metadata/instance/compute/name"])
def test_missing_api_version_is_400_and_names_the_newest(imds_server: ImdsServer, path: str, query: str) -> None:
    reply = fetch(imds_server, path + query)
    assert reply.told == error("version-invalid", NEWEST)
    assert json.loads(reply.body)["newest-versions"] == NEWEST


@every("version", ["2016-01-01", "2021-02-02", "2999-01-01", "latest", "2021-02-01%20", "20210201"])
def test_unknown_api_version_is_400_and_names_the_newest(imds_server: ImdsServer, version: str) -> None:
    reply = fetch(imds_server, f"/metadata/instance?api-version={version}")
    assert reply.told == error("version-invalid", NEWEST)


@every(
    "target",
    [
        "/metadata/attested/document?api-version=2017-04-02",
        "/metadata/identity/oauth2/token?api-version=2017-12-01",
        "/metadata/identity/info?api-version=2017-12-01",
        "/metadata/reprovisiondata?api-version=2019-04-30",
    ],
)
def test_api_version_older_than_the_endpoint_is_400(imds_server: ImdsServer, target: str) -> None:
    assert fetch(imds_server, target).told == error("version-invalid", NEWEST)


@every("verb", VERBS)
@every("target", [INSTANCE, "/metadata/instance", "/metadata/versions", LEAF])
def test_verb_other_than_get_is_405(imds_server: ImdsServer, verb: str, target: str) -> None:
    assert fetch(imds_server, target, method=verb).told == error("method")


@every("verb", VERBS)
def test_verb_with_a_body_is_405_and_the_connection_stays_usable(imds_server: ImdsServer, verb: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", imds_server.port, timeout=TIMEOUT_S)
    connection.request(verb, INSTANCE, body=b"GET / HTTP/1.1\r\n\r\n", headers=dict(METADATA))
    refused = connection.getresponse()
    assert (refused.status, refused.read()) == error("method")[::2]
    kept = connection.sock
    connection.request("GET", INSTANCE, headers=dict(METADATA))
    assert connection.getresponse().status == 200
    assert connection.sock is kept
    connection.close()


@every("headers", [(), METADATA, FORWARDED])
@every("target", ["/", INSTANCE, "/metadata/instance/compute", "/metadata/versions"])
def test_head_is_400_from_the_host_without_a_body(
    imds_server: ImdsServer, target: str, headers: tuple[tuple[str, str], ...]
) -> None:
    reply = fetch(imds_server, target, method="HEAD", headers=headers)
    assert reply.told == error("head")
    assert reply.told == (400, "text/xml; charset=utf-8", b"")
    assert reply.header("Content-Length") == "323"
    assert reply.header("Server") == "Microsoft-IIS/10.0"


def test_connection_stays_usable_after_head(imds_server: ImdsServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", imds_server.port, timeout=TIMEOUT_S)
    connection.request("HEAD", INSTANCE, headers=dict(METADATA))
    connection.getresponse().read()
    kept = connection.sock
    connection.request("GET", INSTANCE, headers=dict(METADATA))
    assert connection.getresponse().status == 200
    assert connection.sock is kept
    connection.close()


@every("headers", [(), METADATA, FORWARDED])
@every(
    "target", ["/", "/?api-version=2021-02-01", "/favicon.ico", "/metadat", "/metadatas/instance", "/latest/meta-data/"]
)
def test_path_outside_metadata_is_404_from_the_host(
    imds_server: ImdsServer, target: str, headers: tuple[tuple[str, str], ...]
) -> None:
    reply = fetch(imds_server, target, headers=headers)
    assert reply.told == error("outside-metadata")
    assert len(reply.body) == 1245
    assert reply.header("Server") == "Microsoft-IIS/10.0"


@every("verb", VERBS)
def test_path_outside_metadata_is_404_for_every_verb(imds_server: ImdsServer, verb: str) -> None:
    assert fetch(imds_server, "/", method=verb).told == error("outside-metadata")


@every("path", ["/Metadata", "/METADATA", "/mEtAdAtA"])
def test_first_segment_is_taken_in_any_case(imds_server: ImdsServer, path: str) -> None:
    assert fetch(imds_server, f"{path}/instance?api-version=2021-02-01").status == 200


@every("path", ["/metadata", "/metadata/"])
@every("query", ["", "&format=text", "&format=json"])
def test_metadata_itself_is_404_today(imds_server: ImdsServer, path: str, query: str) -> None:
    assert fetch(imds_server, f"{path}?api-version=2021-02-01{query}").told == error("category-unknown")


@every(
    "path",
    [
        "/metadata/nothing",
        "/metadata/Instance",
        "/metadata/INSTANCE/compute",
        "/metadata/v",
        "/metadata/attested",
        "/metadata/attested/Document",
    ],
)
@every("headers", [(), METADATA, FORWARDED])
@every("query", ["", "?api-version=2021-02-01"])
def test_path_that_is_no_endpoint_is_404_whatever_its_headers(
    imds_server: ImdsServer, path: str, headers: tuple[tuple[str, str], ...], query: str
) -> None:
    assert fetch(imds_server, f"{path}{query}", headers=headers).told == error("category-unknown")


@every(
    ("method", "target", "headers", "name"),
    [
        ("HEAD", "/", (), "head"),
        ("POST", "/", (), "outside-metadata"),
        ("POST", INSTANCE, FORWARDED[1:], "header-missing"),
        ("POST", f"{INSTANCE}&api-version=", FORWARDED, "forwarded"),
        ("POST", "/metadata/nothing?a&a", (), "category-unknown"),
        ("POST", "/metadata/nothing", FORWARDED, "category-unknown"),
        ("POST", "/metadata/instance/nothing?a&a", METADATA, "parameter-repeated"),
        ("POST", "/metadata/instance/nothing", METADATA, "method"),
        ("POST", "/metadata/instance", (*METADATA, ("Content-Length", "1")), "method"),
        ("GET", "/metadata/instance", (*METADATA, ("Content-Length", "1")), "body-with-get"),
        ("GET", "/metadata/instance/nothing?api-version=2021-02-01&format=xml", METADATA, "format-unknown"),
        ("GET", "/metadata/attested/document/nothing?api-version=2021-02-01&format=xml", METADATA, "format-unknown"),
    ],
)
def test_of_two_faults_the_earlier_in_the_order_of_checks_is_told(
    imds_server: ImdsServer, method: str, target: str, headers: tuple[tuple[str, str], ...], name: str
) -> None:
    body = b"x" if ("Content-Length", "1") in headers else b""
    assert fetch(imds_server, target, method=method, headers=headers, body=body).told == error(name)


def test_missing_api_version_is_told_before_an_unknown_format_and_element(imds_server: ImdsServer) -> None:
    assert fetch(imds_server, "/metadata/instance/nothing?format=xml").told == error("version-invalid", NEWEST)
