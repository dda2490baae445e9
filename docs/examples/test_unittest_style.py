"""The server without pytest's fixtures, in a unittest.TestCase. The client is urllib."""

# ruff: noqa: PT009 - a unittest.TestCase asserts in its own way

from __future__ import annotations

import json
import unittest
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from pytest_imds import ImdsServer


def operating_system(imds: str) -> str:
    request = Request(f"{imds}/metadata/instance/compute?api-version=2019-06-01", headers={"Metadata": "true"})
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=5) as reply:
            compute = json.load(reply)
    except HTTPError as refused:
        with refused:
            return f"unknown ({refused.code})"
    image = compute["storageProfile"]["imageReference"]
    return f"{compute['osType']}, {image['offer'] or 'own image'}"


class OperatingSystemTest(unittest.TestCase):
    def test_a_marketplace_image_is_named(self) -> None:
        # Catches a report that leaves the offer out.
        with ImdsServer(image="windows-2022", seed=7) as server:
            self.assertEqual(operating_system(server.url), "Windows, WindowsServer")

    def test_an_own_image_has_no_offer(self) -> None:
        # Catches a report that ends in nothing.
        with ImdsServer("custom-image", seed=7) as server:
            self.assertEqual(operating_system(server.url), "Linux, own image")

    def test_a_classic_vm_has_no_compute(self) -> None:
        # Catches a client that does not expect the 404.
        with ImdsServer("classic", seed=7) as server:
            self.assertEqual(operating_system(server.url), "unknown (404)")
