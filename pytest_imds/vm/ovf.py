"""The OVF environment document of a VM: what a provisioning agent makes of an image the VM that was asked for.

Source: ``fixtures_data/reprovision.json``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from pytest_imds import data

if TYPE_CHECKING:
    from pytest_imds.vm.model import Vm

# What XML 1.0 has no way to write (section 2.2).
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
REPLACEMENT = "\ufffd"


def environment(vm: Vm) -> str:
    """Return the OVF environment document (``ovf-env.xml``) of ``vm``.

    Characters that XML cannot have are replaced by U+FFFD.
    """
    spaces = data.read("reprovision")["namespaces"]
    # Prefixes are written out: there are agents that ask for elements by the names with the prefixes of the service.
    root = ElementTree.Element(
        "Environment", {"xmlns": spaces["ovf"], "xmlns:wa": spaces["wa"], "xmlns:xsi": spaces["xsi"]}
    )
    windows = vm.os_type == "Windows"
    row = data.read("reprovision")["windows" if windows else "linux"]
    configuration = _section(root, "wa:ProvisioningSection", row["set"])
    _element(configuration, "ConfigurationSetType", row["kind"])
    if windows:
        _windows(configuration, vm)
    else:
        _linux(configuration, vm)
    _platform(_section(root, "wa:PlatformSettingsSection", "PlatformSettings"), vm)
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written.decode()


def _linux(configuration: ElementTree.Element, vm: Vm) -> None:
    _element(configuration, "UserName", vm.os_profile.admin_username)
    disabled = vm.os_profile.disable_password_authentication
    if disabled is not None:
        _element(configuration, "DisableSshPasswordAuthentication", str(disabled).lower())
    _element(configuration, "HostName", vm.os_profile.computer_name)
    _custom_data(configuration, vm)
    if vm.public_keys:
        keys = _element(_element(configuration, "SSH"), "PublicKeys")
        for public in vm.public_keys:
            key = _element(keys, "PublicKey")
            _element(key, "Path", public.path)
            _element(key, "Value", public.key_data)


def _windows(configuration: ElementTree.Element, vm: Vm) -> None:
    _element(configuration, "ComputerName", vm.os_profile.computer_name)
    _element(configuration, "AdminUsername", vm.os_profile.admin_username)
    for name, value in data.read("reprovision")["windows"]["defaults"].items():
        _element(configuration, name, value)
    _custom_data(configuration, vm)


def _custom_data(configuration: ElementTree.Element, vm: Vm) -> None:
    if vm.custom_data:
        _element(configuration, "CustomData", vm.custom_data)


def _platform(settings: ElementTree.Element, vm: Vm) -> None:
    known = data.read("reprovision")
    servers = known["kms"]["by_cloud"]
    _element(settings, "KmsServerHostname", servers.get(vm.cloud, servers["AzurePublicCloud"]))
    for name, value in known["platform-settings"]["settings"].items():
        element = _element(settings, name, value)
        if value is None:
            element.set("xsi:nil", "true")


def _section(root: ElementTree.Element, name: str, content: str) -> ElementTree.Element:
    """Add a section; return what is in it."""
    spaces = data.read("reprovision")["namespaces"]
    section = _element(root, name)
    _element(section, "wa:Version", spaces["version"])
    return ElementTree.SubElement(section, content, {"xmlns": spaces["wa"]})


def _element(parent: ElementTree.Element, name: str, text: str | None = None) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, name)
    element.text = None if text is None else NOT_XML.sub(REPLACEMENT, text)
    return element
