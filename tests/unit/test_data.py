"""The facts in fixtures_data: each has its evidence, and they fit together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from pytest_imds import data
from pytest_imds.service.replies import PLACE
from pytest_imds.vm.profiles import Knobs, resolve
from tests.every import every

FILES = sorted(path.stem for path in data.folder().glob("*.json"))
EVIDENCE = {"observed", "docs", "swagger", "client", "tested", "assumed"}
CONFIDENCE = {"high", "medium", "low"}
PRIMITIVES = {"string", "boolean"}

SCHEMA: dict[str, dict[str, Any]] = data.read("schema")
ERRORS: dict[str, dict[str, Any]] = data.read("errors")
ENDPOINTS: dict[str, dict[str, Any]] = data.read("endpoints")
VERSIONS: list[str] = [row["version"] for row in data.read("api_versions")["versions"]]

# Where the attribute is not the key in snake case.
RENAMED = {
    "azEnvironment": "cloud",
    "interfaceCompartmentID": "interface_compartment_id",
    "diskSizeGB": "disk_size_gb",
    "tags": "published_tags",
    "tagsList[]": "published_tags",
    "interface[]": "interfaces",
    "ipAddress[]": "ip_addresses",
    "ipAddressBlock[]": "ip_address_blocks",
    "subnet[]": "subnets",
    # the spelling of 2017-03-01
    "ipaddress[]": "ip_addresses",
    "dnsservers[]": "dns_servers",
    "publicip": "public_ip_address",
    "mac": "mac_address",
}


def facts(file: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What needs evidence: the file as a whole where it has an ``_about``, otherwise each of its rows."""
    content = data.read(file)
    if "_about" in content:
        yield f"{file}._about", content["_about"]
        return
    for name, value in content.items():
        rows = enumerate(value) if isinstance(value, list) else [("", value)]
        for number, row in rows:
            yield f"{file}.{name}.{number}".rstrip("."), row


FACTS = dict(fact for file in FILES for fact in facts(file))


def objects(node: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        yield path, node
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from objects(child, f"{path}.{key}")


def test_a_fact_has_evidence_a_source_and_a_confidence() -> None:
    for fact, row in FACTS.items():
        assert row["evidence"] in EVIDENCE, fact
        assert row["confidence"] in CONFIDENCE, fact
        assert row["source"].strip(), fact


@every("file", FILES)
def test_what_is_assumed_says_so_and_says_what(file: str) -> None:
    for path, row in objects(data.read(file), file):
        assert row.get("evidence") != "assumed" or row.get("assumed") is True, path
        assert row.get("assumed") in (None, True), path
        assert bool(row.get("assumption", "").strip()) == ("assumed" in row), path


def test_versions_ascend() -> None:
    assert sorted(set(VERSIONS)) == VERSIONS
    assert [version for version in VERSIONS if not re.fullmatch(r"20\d\d-[01]\d-[0-3]\d", version)] == []


def test_eras_ascend_from_the_first_version_on() -> None:
    begins = [row["newest"] for row in data.read("api_versions")["eras"]]

    assert sorted(set(begins)) == begins
    assert begins[0] == VERSIONS[0]
    assert set(begins) <= set(VERSIONS)


@every("row", data.read("api_versions")["eras"])
def test_an_era_words_its_errors_with_existing_ones(row: dict[str, Any]) -> None:
    assert {row["version_missing"], row["version_unsupported"]} <= ERRORS.keys()
    assert isinstance(row["root_listing"], bool)


@every("path", ENDPOINTS)
def test_an_endpoint_has_versions_of_the_service_or_its_own(path: str) -> None:
    row = ENDPOINTS[path]
    own = row.get("versions", [])

    assert not {"since", "versions"} <= row.keys()
    assert row.get("since", VERSIONS[0]) in VERSIONS
    assert sorted(set(own)) == own
    assert set(row.get("header_free_versions", [])) <= set(own)
    assert ("version_parameter" in row) == (own == ["2.0"])


@every("path", ENDPOINTS)
def test_an_endpoint_has_a_path_verbs_and_errors_that_exist(path: str) -> None:
    row = ENDPOINTS[path]
    # What any endpoint refuses: an error, or one that depends on the service's time.
    of_any = ERRORS.keys() | {"version_missing", "version_unsupported"}

    assert "/".join(part for part in path.split("/") if part) == path
    assert row["about"]
    assert set(row.get("methods", ["GET"])) <= {"GET", "POST"}
    assert row.get("errors", {}).keys() <= of_any
    assert set(row.get("errors", {}).values()) <= ERRORS.keys()


def test_an_endpoint_is_not_below_another() -> None:
    below = [(one, other) for one in ENDPOINTS for other in ENDPOINTS if other and one.startswith(f"{other}/")]

    assert below == []


def test_public_ranges_are_for_documentation_and_apart() -> None:
    ranges = data.read("network")["public_ranges"]

    assert ranges.keys() == {"vm", "load_balancer"}
    assert set(ranges.values()) <= {"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"}  # RFC 5737
    assert len(set(ranges.values())) == len(ranges)


@every("name", [name for name, row in ERRORS.items() if "json" in row["content_type"]])
def test_a_body_is_json_once_its_places_are_filled(name: str) -> None:
    body = ERRORS[name]["body"].replace("{newest_versions}", "[]")

    assert "error" in json.loads(PLACE.sub("filled", body))


def test_a_field_exists_in_existing_versions_and_while_its_parent_does() -> None:
    for path, field in SCHEMA.items():
        until = field.get("until", VERSIONS[-1])
        parent = SCHEMA.get(path.rpartition(".")[0], {"since": VERSIONS[0]})

        assert {field["since"], until} <= set(VERSIONS), path
        assert parent["since"] <= field["since"] <= until <= parent.get("until", VERSIONS[-1]), path


def test_a_field_has_members_exactly_if_it_is_an_object_or_an_array() -> None:
    with_members = {path.rpartition(".")[0] for path in SCHEMA}
    for path, field in SCHEMA.items():
        assert field["type"] in {*PRIMITIVES, "object", "array"}, path
        assert (field["type"] == "array") == path.endswith("[]"), path
        assert (path in with_members) == (field["type"] not in PRIMITIVES), path


def test_an_attribute_is_the_key_in_snake_case() -> None:
    for path, field in SCHEMA.items():
        key = path.rpartition(".")[2]
        snake = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", key.removesuffix("[]")).lower()
        other = "private_ip_address" if key == "ipaddress" else ""

        assert not field["attribute"] or field["attribute"] in (RENAMED.get(key, snake), other), path


def test_no_renamed_attribute_is_left_over() -> None:
    assert RENAMED.keys() <= {path.rpartition(".")[2] for path in SCHEMA}


@every("name", ERRORS)
def test_an_error_is_one_and_has_an_existing_sender(name: str) -> None:
    row = ERRORS[name]

    assert 400 <= row["status"] <= 599
    assert row["sender"] in data.read("senders")
    assert row["when"]
    assert row["content_type"]


def test_the_page_outside_metadata_has_the_recorded_length() -> None:
    assert len(ERRORS["outside-metadata"]["body"].encode()) == 1245


@every("name", data.read("senders"))
def test_a_sender_says_what_its_headers_are(name: str) -> None:
    sender = data.read("senders")[name]
    headers = sender["headers"]

    assert {"Content-Type", "Content-Length"} <= set(headers)
    assert ("Server" in headers) == ("server" in sender)
    assert len(set(headers)) == len(headers)
    assert set(sender.get("fixed", {})) <= set(headers)


@every("name", sorted({row["sender"] for row in ERRORS.values()}))
def test_who_refuses_for_azure_sends_the_four_headers_that_all_recorded_replies_have(name: str) -> None:
    assert {"Content-Type", "Content-Length", "Date", "Server"} <= set(data.read("senders")[name]["headers"])


@every("name", data.read("profiles")["profiles"])
def test_a_profile_uses_existing_knobs_with_values_that_they_take(name: str) -> None:
    profile = data.read("profiles")["profiles"][name]

    assert profile["about"]
    assert profile["knobs"].keys() <= {knob.name for knob in fields(Knobs)}
    assert resolve("linux", profile["knobs"]) == resolve(name, {})


@every("name", data.read("sizes")["sizes"])
def test_a_size_has_all_its_limits(name: str) -> None:
    size = data.read("sizes")["sizes"][name]

    assert {key: type(value) for key, value in size.items()} == {
        "max_data_disks": int,
        "max_nics": int,
        "resource_disk_mib": int,
        "ephemeral_os_disk_gb": int,
        "trusted_launch": bool,
        "confidential": bool,
        "common": bool,
    }
    assert size["max_nics"] >= 1


@every("name", data.read("images")["images"])
def test_an_image_has_its_marketplace_name_and_runs_what_it_promises(name: str) -> None:
    image = data.read("images")["images"][name]

    assert image["os_type"] in ("Linux", "Windows")
    assert all(image[part] for part in ("publisher", "offer", "sku", "version"))
    assert image["os_disk_size_gb"] > 0
    # Trusted launch and confidential VMs start from generation 2 alone.
    assert image["generation"] == 2 or not (image.get("trusted_launch") or image.get("confidential"))


def test_regions_belong_to_one_cloud_each() -> None:
    clouds = data.read("clouds")["clouds"]
    regions = [region for cloud in clouds.values() for region in cloud["regions"]]

    assert len(set(regions)) == len(regions)
    assert [region for region in regions if not re.fullmatch(r"[a-z]+[0-9]?", region)] == []


@every("file", FILES)
def test_the_readme_of_the_data_names_every_file(file: str) -> None:
    assert f"{file}.json" in (data.folder() / "README.md").read_text(encoding="utf-8")


def test_no_private_key_is_in_the_data() -> None:
    assert [path.name for path in data.folder().iterdir() if "PRIVATE KEY" in path.read_text(encoding="utf-8")] == []
