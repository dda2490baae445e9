"""Programs in any language, unmodified, ask at the address of IMDS in a network of their own; some need a variable."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_imds import ImdsServer, Vm
from tests.clients.outages import node_with
from tests.clients.redirected import NO_OTHER, SCOPE, TIMEOUT_S, TOKEN_PATH, asked, claims

HERE = Path(__file__).parent
IMDS = "169.254.169.254"
NAME = f"http://{IMDS}/metadata/instance/compute/name?api-version=2021-02-01&format=text"
HEADER = "Metadata: true"
CURL = ("curl", "-sS", "--max-time", "5", "-H", HEADER)
PYTHON = (sys.executable, "-c")
URLLIB = """
from urllib.request import Request, urlopen
print(urlopen(Request(URL, headers={"Metadata": "true"}), timeout=5).read().decode(), end="")
"""
UVLOOP = """
import asyncio, uvloop
async def ask():
    reader, writer = await asyncio.open_connection("169.254.169.254", 80)
    path = URL.partition("254/")[2]
    writer.write(f"GET /{path} HTTP/1.1\\r\\nHost: it\\r\\nMetadata: true\\r\\nConnection: close\\r\\n\\r\\n".encode())
    print((await asyncio.wait_for(reader.read(), 5)).decode().rpartition("\\r\\n")[2], end="")
    writer.close()
uvloop.run(ask())
"""
PYCURL = """
import pycurl
curl = pycurl.Curl()
curl.setopt(pycurl.URL, URL)
curl.setopt(pycurl.HTTPHEADER, ["Metadata: true"])
curl.setopt(pycurl.TIMEOUT, 5)
print(curl.perform_rs(), end="")
"""
FETCH = """
const signal = AbortSignal.timeout(5000);
fetch(process.argv[1], { headers: { Metadata: "true" }, signal })
    .then((reply) => reply.text())
    .then((text) => process.stdout.write(text));
"""
NODE_HTTP = """
require("node:http")
    .get(process.argv[1], { headers: { Metadata: "true" }, timeout: 5000 }, (reply) => reply.pipe(process.stdout))
"""
PROGRAMS = {
    "curl": (*CURL, NAME),
    "curl without a proxy": (*CURL, "--noproxy", "*", NAME),
    "wget": ("wget", "-qO-", "--tries=1", "--timeout=5", f"--header={HEADER}", NAME),
    "urllib": (*PYTHON, f"URL = {NAME!r}{URLLIB}"),
    "uvloop": (*PYTHON, f"URL = {NAME!r}{UVLOOP}"),
    "pycurl": (*PYTHON, f"URL = {NAME!r}{PYCURL}"),
    "fetch of Node": ("node", "-e", FETCH, NAME),
    "node:http": ("node", "-e", NODE_HTTP, NAME),
}
NEEDS = ("uvloop", "pycurl")
# Asks IMDS for a token, and then the storage for a blob.
OBSTORE = """
import sys, obstore
from obstore.store import AzureStore
store = AzureStore(
    "container", account_name="account", endpoint="http://169.254.169.254/account",
    client_options={"allow_http": True, "timeout": "5s"}, retry_config={"max_retries": 0},
)
sys.stdout.buffer.write(obstore.get(store, "blob").bytes())
"""
# Without what is asked for here, credentials would ask the real address, where another service may answer.
IDENTITY = """
import sys

def refuse(event, arguments):
    if event == "socket.connect" and arguments[1][0] != "127.0.0.1":
        raise SystemExit(f"a client wants to talk to {arguments[1]}")

sys.addaudithook(refuse)
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

for credential in ManagedIdentityCredential(), DefaultAzureCredential(**OPTIONS):
    print(credential.get_token(SCOPE).token)
"""


def installed(program: str) -> None:
    """Skip the test where a program is missing."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def says(server: ImdsServer, *command: str, **options: Any) -> str:
    """What a program says that ends well."""
    done = server.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


@pytest.mark.imds_namespace
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_asks_at_the_address_of_imds(program: str, imds_server: ImdsServer, imds_vm: Vm) -> None:
    command = PROGRAMS[program]
    installed(command[0])
    if program in NEEDS and importlib.util.find_spec(program) is None:
        pytest.skip(f"{program} is not installed")

    assert says(imds_server, *command) == imds_vm.name
    assert len(imds_server.log) == 1


@pytest.mark.imds_namespace
def test_both_clients_of_java_ask_at_the_address_of_imds(imds_server: ImdsServer, imds_vm: Vm) -> None:
    installed("java")
    fast = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")

    said = says(imds_server, "java", *fast, str(HERE / "Ask.java"), NAME)

    assert said.splitlines() == [imds_vm.name] * 2
    assert [request.host for request, _ in imds_server.log] == [IMDS] * 2


@pytest.mark.imds_namespace
def test_obstore_gets_its_token_at_the_address_of_imds(imds_server: ImdsServer, imds_vm: Vm) -> None:
    found = {"ETag": '"1"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    imds_server.expect_request("/account/container/blob").respond_with_data("content", headers=found)

    assert says(imds_server, *PYTHON, OBSTORE) == "content"
    (token, _), (blob, _) = imds_server.log
    assert token.path == TOKEN_PATH
    bearer = blob.headers["Authorization"].removeprefix("Bearer ")
    assert claims(imds_server, bearer, "https://storage.azure.com")["oid"] == imds_vm.identities[0].object_id


def test_azure_identity_of_a_plain_child_finds_the_server(imds_server: ImdsServer, imds_vm: Vm) -> None:
    script = f"OPTIONS, SCOPE = {NO_OTHER!r}, {SCOPE!r}\n{IDENTITY}"

    told = subprocess.run(
        [*PYTHON, script], env=imds_server.env(), capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )

    first, second = told.stdout.split()
    assert claims(imds_server, first)["oid"] == imds_vm.identities[0].object_id
    assert second == first
    assert [request.metadata for request in asked(imds_server)] == ["true"] * 2  # it does not look who is there first


def test_azure_identity_of_node_finds_the_server_as_a_plain_child(imds_server: ImdsServer, imds_vm: Vm) -> None:
    node = node_with("@azure/identity", HERE)

    told = subprocess.run(
        [node, str(HERE / "identity.mjs"), SCOPE],
        env=imds_server.env(),
        input=json.dumps([{}]),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=True,
    )

    (answer,) = json.loads(told.stdout)
    assert claims(imds_server, answer["token"])["oid"] == imds_vm.identities[0].object_id
