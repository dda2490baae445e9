"""``/metadata/instance``: what the VM is."""

from __future__ import annotations

from pytest_imds.host import Host
from pytest_imds.service import replies
from pytest_imds.service.message import Reply, Request
from pytest_imds.tree import listing, walk
from pytest_imds.vm.projection import view


def answer(request: Request, host: Host) -> Reply:
    """Answer ``/metadata/instance`` and every route below it.

    A JSON object or array, bare; with ``format=text`` a leaf's value or the
    names of the children. The request has passed the gate.

    Source: ``route``, ``leaf``, ``listing`` and ``extended`` in
    ``fixtures_data/behaviour.json``.
    """
    parameters = request.parameters
    extended = parameters.get("extended", "").lower() == "true"
    shown = view(host.vm, parameters["api-version"], extended=extended)
    route = request.segments[2:]
    wants_json = parameters.get("format", "json").lower() == "json"
    if wants_json and (written := shown.json(route)) is not None:
        return replies.json_text(host, written)
    node = walk(shown.document(), route)
    if node is None:
        return replies.error(host, "element-missing")
    if wants_json:
        return replies.error(host, "leaf-without-text")
    if isinstance(node, (dict, list)):
        return replies.text(host, listing(node))
    return replies.text(host, str(node).lower() if isinstance(node, bool) else str(node))
