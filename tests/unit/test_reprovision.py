"""What a pre-provisioned VM is to become: the path, and the OVF environment document."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import replace
from functools import cache
from typing import Any
from xml.etree import ElementTree

import pytest

from pytest_imds import data
from pytest_imds.service.handle import handle
from pytest_imds.service.message import Reply, Request
from pytest_imds.vm.model import OsProfile, PublicKey, Vm
from pytest_imds.vm.ovf import environment
from pytest_imds.vm.provider import generate, generator
from tests import hosts

SPACES = {"ovf": "http://schemas.dmtf.org/ovf/environment/1", "wa": "http://schemas.microsoft.com/windowsazure"}
NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
HOSTILE = [
    "a<b>&amp;\"'</wa:HostName>",
    "]]><![CDATA[x",
    "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/hostname'>]>&e;",
    "zwölf 中文 🙂",
    " \t\n",
]


@cache
def vm(profile: str = "linux", **knobs: Any) -> Vm:
    return generate(generator(), profile, "reprovision", knobs)


def ask(vm: Vm, query: str = "api-version=2019-06-01") -> Reply:
    return handle(Request("GET", "/metadata/reprovisiondata", query, {"metadata": "true"}), hosts.host(vm))


def test_the_path_answers_404_until_there_is_something() -> None:
    row = data.read("errors")["category-unknown"]

    reply = ask(vm())

    assert (reply.status, reply.body) == (row["status"], row["body"].encode())


@pytest.mark.parametrize("document", ["<Environment/>", "no XML at all", "zwölf 🙂\r\n"])
def test_the_path_answers_the_data_as_it_is(document: str) -> None:
    reply = ask(replace(vm(), reprovision_data=document))
    headers = dict(reply.headers)

    assert (reply.status, reply.body) == (200, document.encode())
    assert headers["Content-Type"] == "text/xml; charset=utf-8"
    assert headers["Content-Length"] == str(len(document.encode()))


@pytest.mark.parametrize("query", ["", "api-version=2019-04-30"])
def test_the_path_needs_an_api_version_that_has_it(query: str) -> None:
    assert ask(replace(vm(), reprovision_data="<x/>"), query).status == 400


def find(node: ElementTree.Element, name: str) -> ElementTree.Element | None:
    """As cloud-init finds it: an element is there once or not at all."""
    found = node.findall(f"./wa:{name}", SPACES)
    assert len(found) <= 1
    return found[0] if found else None


def parsed(document: str) -> dict[str, Any]:
    """What cloud-init reads in an OVF environment document."""
    root = ElementTree.fromstring(document.encode())
    assert root.tag == f"{{{SPACES['ovf']}}}Environment"

    def section(*names: str) -> ElementTree.Element:
        node = root
        for name in names:
            inner = find(node, name)
            assert inner is not None, name
            node = inner
        return node

    configuration = section("ProvisioningSection", "LinuxProvisioningConfigurationSet")
    settings = section("PlatformSettingsSection", "PlatformSettings")
    keys = configuration.findall("./wa:SSH/wa:PublicKeys/wa:PublicKey", SPACES)
    return {
        "versions": [element.text for element in root.findall("./*/wa:Version", SPACES)],
        "keys": [tuple(key.findtext(f"./wa:{name}", None, SPACES) for name in ("Path", "Value")) for key in keys],
        **{
            name: node.findtext(f"./wa:{name}", None, SPACES)
            for node, names in (
                (configuration, ("ConfigurationSetType", "HostName", "UserName", "UserPassword", "CustomData")),
                (configuration, ("DisableSshPasswordAuthentication", "SSH")),
                (settings, ("KmsServerHostname", "ProvisionGuestAgent", "PreprovisionedVm", "PreprovisionedVMType")),
            )
            for name in names
        },
    }


def test_cloud_init_reads_the_vm_in_the_document() -> None:
    linux = vm()

    assert linux.public_keys
    assert parsed(environment(linux)) == {
        "versions": ["1.0", "1.0"],
        "keys": [(key.path, key.key_data) for key in linux.public_keys],
        "ConfigurationSetType": "LinuxProvisioningConfiguration",
        "HostName": linux.os_profile.computer_name,
        "UserName": linux.os_profile.admin_username,
        "UserPassword": None,
        "CustomData": None,
        "DisableSshPasswordAuthentication": "true",
        "SSH": "",
        "KmsServerHostname": "kms.core.windows.net",
        "ProvisionGuestAgent": "true",
        "PreprovisionedVm": "false",
        "PreprovisionedVMType": "",
    }


def test_a_vm_with_a_password_has_no_keys_and_allows_it() -> None:
    read = parsed(environment(vm(password=True)))

    assert (read["keys"], read["SSH"], read["DisableSshPasswordAuthentication"]) == ([], None, "false")


def test_custom_data_is_passed_on_in_base64() -> None:
    written = b64encode(b"#cloud-config\n").decode()

    read = parsed(environment(replace(vm(), custom_data=written)))

    assert b64decode(read["CustomData"]) == b"#cloud-config\n"


def test_what_is_nil_says_so() -> None:
    root = ElementTree.fromstring(environment(vm()))
    nil = [element.tag.rpartition("}")[2] for element in root.iter() if element.get(NIL) == "true"]

    assert nil == ["GuestAgentPackageName", "PreprovisionedVMType"]


def test_elements_have_the_names_with_the_prefixes_of_the_service() -> None:
    document = environment(vm())

    assert document.startswith("<?xml version='1.0' encoding='utf-8'?>\n<Environment ")
    assert document.count("<wa:") == 4
    assert [name for name in ("ProvisioningSection", "PlatformSettingsSection") if f"<wa:{name}>" not in document] == []
    assert f'<LinuxProvisioningConfigurationSet xmlns="{SPACES["wa"]}">' in document


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_stay_text(text: str) -> None:
    hostile = replace(
        vm(), os_profile=OsProfile(text, text, True), public_keys=[PublicKey(text, text)], custom_data=text
    )
    read = parsed(environment(hostile))

    assert {read["HostName"], read["UserName"], read["CustomData"], *read["keys"][0]} == {text}


@pytest.mark.parametrize("character", ["\0", "\x0b", "\x1f", "\ud800", "\ufffe"])
def test_what_xml_cannot_write_is_replaced(character: str) -> None:
    profile = replace(vm().os_profile, computer_name=f"a{character}b")

    document = environment(replace(vm(), os_profile=profile))

    assert parsed(document)["HostName"] == "a\ufffdb"
    assert document.encode()


@pytest.mark.parametrize("cloud", data.read("clouds")["clouds"])
def test_windows_is_activated_in_its_cloud(cloud: str) -> None:
    server = parsed(environment(replace(vm(), cloud=cloud)))["KmsServerHostname"]

    assert server == data.read("reprovision")["kms"]["by_cloud"][cloud]


def test_a_cloud_that_there_is_not_activates_with_the_public_one() -> None:
    read = parsed(environment(replace(vm(), cloud="AzureMoonCloud")))

    assert read["KmsServerHostname"] == "kms.core.windows.net"


def test_a_windows_vm_has_a_configuration_set_of_its_own() -> None:
    windows = replace(vm("windows"), custom_data="AAAA")
    root = ElementTree.fromstring(environment(windows))
    (configuration,) = root.findall("./wa:ProvisioningSection/wa:WindowsProvisioningConfigurationSet", SPACES)

    assert {element.tag.rpartition("}")[2]: element.text for element in configuration} == {
        "ConfigurationSetType": "WindowsProvisioningConfiguration",
        "ComputerName": windows.os_profile.computer_name,
        "AdminUsername": windows.os_profile.admin_username,
        **data.read("reprovision")["windows"]["defaults"],
        "CustomData": "AAAA",
    }
    assert root.findall(".//wa:LinuxProvisioningConfigurationSet", SPACES) == []
