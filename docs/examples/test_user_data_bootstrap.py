"""A bootstrap that reads its settings from the user data. The client is aiohttp."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode

import aiohttp
import pytest

from pytest_imds import ImdsServer, Vm


async def settings(imds: str) -> dict[str, str]:
    """Return the settings in the user data, and the name of the VM where they name no node."""
    query = {"api-version": "2021-01-01", "format": "text"}
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(imds, headers={"Metadata": "true"}, timeout=timeout) as session:

        async def leaf(name: str) -> str:
            async with session.get(f"/metadata/instance/compute/{name}", params=query) as reply:
                reply.raise_for_status()
                return await reply.text()

        user_data, name = await asyncio.gather(leaf("userData"), leaf("name"))
    given: dict[str, str] = json.loads(b64decode(user_data)) if user_data else {}
    return {"node": name, **given}


@pytest.mark.imds_vm(user_data='{"node": "n1", "city": "Malmö"}')
def test_the_user_data_is_decoded(imds_server: ImdsServer) -> None:
    # Catches a client that forgets the Base64, or reads customData.
    assert asyncio.run(settings(imds_server.url)) == {"node": "n1", "city": "Malmö"}


def test_a_vm_without_user_data_goes_by_its_own_name(imds_server: ImdsServer, imds_vm: Vm) -> None:
    # Catches a client that parses the empty body of an empty leaf.
    assert asyncio.run(settings(imds_server.url)) == {"node": imds_vm.name}
