"""``serve``: a server until it is told to stop, and a line for each request."""

from __future__ import annotations

import signal
from argparse import Namespace
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue

from pytest_imds.command import servers
from pytest_imds.command.output import Output, complain
from pytest_imds.command.telling import TellingServer
from pytest_imds.service import endpoints, versions
from pytest_imds.traffic.exchange import Exchange

# The paths below /metadata that are worth a look, and what each is asked besides the api-version.
WORTH_A_LOOK = {
    "instance": "",
    "instance/compute/vmSize": "&format=text",
    "attested/document": "&nonce=1234567890",
    "identity/oauth2/token": "&resource=https://management.azure.com/",
}
# How often to see whether somebody reads the output.
LOOK_AGAIN_S = 0.5


def serve(asked: Namespace, output: Output) -> int:
    """Serve until SIGINT or SIGTERM, or until nobody reads the output.

    Returns:
        The exit status.

    Raises:
        ImdsUsageError: there is no such server.
        ImdsPortError: the port is taken.
    """

    def tell(exchange: Exchange) -> None:
        if asked.json:
            output.json(_as_json(exchange))
        else:
            output.line(_told(exchange, output))

    server = servers.made(partial(TellingServer, tell, complain), asked)
    server.start()
    try:
        ended: SimpleQueue[None] = SimpleQueue()  # a handler of signals may fill it, which is true of no Event
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.put(None))
        if asked.json:
            output.json(_introduction(server))
        else:
            for line in _greeting(server, output):
                output.line(line)
        _wait(ended, output)
    finally:
        server.stop()
        server.release()
    return 0


def _wait(ended: SimpleQueue[None], output: Output) -> None:
    while output.has_reader:
        with suppress(Empty):
            ended.get(timeout=LOOK_AGAIN_S)
            return


def _introduction(server: TellingServer) -> dict[str, object]:
    vm = server.vm
    return {
        "url": server.url,
        "port": server.port,
        "profile": vm.profile,
        "seed": vm.seed,
        "vm_id": vm.vm_id,
        "name": vm.name,
    }


def _greeting(server: TellingServer, output: Output) -> Iterator[str]:
    """Yield the URL, and commands that ask the server."""
    vm = server.vm
    yield output.painted(server.url, "bold")
    yield f"serves {vm.name} (profile {vm.profile}, seed {vm.seed}) until Ctrl-C. Try:"
    for path, query in WORTH_A_LOOK.items():
        endpoint = endpoints.find(tuple(path.split("/")))
        if endpoint is not None and (known := versions.of(endpoint, server.newest)):
            url = f"{server.url}/metadata/{path}?api-version={known[-1]}{query}"
            yield f"  curl --noproxy '*' -H Metadata:true '{url}'"


def _told(exchange: Exchange, output: Output) -> str:
    """Return a request on one line: verb and target, status, bytes, faults."""
    good = exchange.status is not None and exchange.status < 400
    status = output.painted(str(exchange.status or "no reply"), "green" if good else "red")
    faults = output.painted(f"  {', '.join(exchange.faults)}", "magenta") if exchange.faults else ""
    return f"{exchange.line}  {status}  {exchange.bytes_sent} bytes{faults}"


def _as_json(exchange: Exchange) -> dict[str, object]:
    return {
        "method": exchange.method or None,
        "target": exchange.target or None,
        "status": exchange.status,
        "bytes": exchange.bytes_sent,
        "faults": exchange.faults,
    }
