"""The tables of the reference, from the data."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from cells import code, life, plain, table
from facts import FILES

from pytest_imds import data
from pytest_imds.faults.fault import about, own
from pytest_imds.faults.kinds import KINDS
from pytest_imds.network.environment import NO_PROXY
from pytest_imds.service.versions import known
from pytest_imds.trust.errors import AttestationError
from pytest_imds.trust.forgeries import CHECKS, FORGERIES
from pytest_imds.vm.profiles import Knobs
from pytest_imds.vm.projection import brought


def profiles() -> str:
    """Return the table of the profiles."""
    rows = data.read("profiles")["profiles"].items()
    return table(
        ("profile", "what it is", "knobs it sets"),
        [
            (code(name), row["about"], ", ".join(code(f"{k}={v!r}") for k, v in row["knobs"].items()))
            for name, row in rows
        ],
    )


def knobs() -> str:
    """Return the table of the knobs."""
    rows = []
    for knob in fields(Knobs):
        kinds = " or ".join(code(kind.__name__) for kind in knob.metadata["accepts"])
        choices = ", ".join(code(repr(choice)) for choice in knob.metadata["choices"])
        default = "generated" if knob.default is None else code(repr(knob.default))
        rows.append((code(knob.name), knob.metadata["about"], choices or kinds, default))
    return table(("knob", "what it is", "values", "default"), rows)


def attributes() -> str:
    """Return the table of the attributes of a VM and the fields they are shown in."""
    schema = data.read("schema")
    rows = []
    for path, row in schema.items():
        if row["type"] in ("object", "array") and "encoding" not in row:
            continue
        steps = path.split(".")
        ways = [schema[".".join(steps[: depth + 1])] for depth in range(len(steps))]
        if any("encoding" in way for way in ways[:-1]):
            continue
        names = [way["attribute"] + ("[]" if way["type"] == "array" else "") for way in ways]
        attribute = ".".join(name for name in names if name.strip("[]"))
        rows.append((code(attribute.removesuffix("[]")), code(path), life(row)))
    return table(("attribute", "field", "api-versions"), sorted(rows))


def regions() -> str:
    """Return the table of the regions."""
    rows = [
        (cloud, code(name), row["zones"] or "", ", ".join(code(zone) for zone in row.get("edge_zones", [])))
        for cloud, about in data.read("clouds")["clouds"].items()
        for name, row in about["regions"].items()
    ]
    return table(("cloud", "region", "availability zones", "edge zones"), rows)


def sizes() -> str:
    """Return the table of the sizes."""
    columns = ("max_data_disks", "max_nics", "resource_disk_mib", "ephemeral_os_disk_gb")
    rows = [
        (code(name), *(row[column] for column in columns), _security(row))
        for name, row in data.read("sizes")["sizes"].items()
    ]
    head = ("size", "data disks", "interfaces", "temporary disk, MiB", "ephemeral OS disk, GB", "security types")
    return table(head, rows)


def images() -> str:
    """Return the table of the images."""
    rows = [
        (code(name), row["os_type"], *(code(row[key]) for key in ("publisher", "offer", "sku")), _security(row))
        for name, row in data.read("images")["images"].items()
    ]
    return table(("image", "system", "publisher", "offer", "sku", "security types"), rows)


def _security(row: dict[str, Any]) -> str:
    kinds = {"trusted_launch": "TrustedLaunch", "confidential": "ConfidentialVM"}
    return ", ".join(kind for key, kind in kinds.items() if row.get(key))


def versions() -> str:
    """Return the table of the api-versions and of what each brought."""
    rows = [(code(version), ", ".join(code(path) for path in brought(version))) for version in known()]
    return table(("api-version", "fields it brought"), rows)


def event_types() -> str:
    """Return the table of the types of scheduled events."""
    rows = data.read("events")["types"]["by_type"].items()
    head = ("type", "since api-version", "announced", "shown after its start", "`EventSource`", "`Description`")
    return table(
        head,
        [
            (
                code(name),
                row["since"],
                f"{row['notice_s']} s ahead",
                f"{row['impact_s']} s",
                row["source"],
                row["descriptions"][row["source"]],
            )
            for name, row in rows
        ],
    )


def event_members() -> str:
    """Return the table of the api-versions of scheduled events, and of what each brought."""
    events = data.read("events")
    brought = dict(events["document"]["members"])
    types = {f"EventType {name}": row["since"] for name, row in events["types"]["by_type"].items()}
    versions = data.read("endpoints")["scheduledevents"]["versions"]
    new = {version: [name for name, since in (brought | types).items() if since == version] for version in versions}
    return table(
        ("api-version", "what it brought"),
        [(code(version), ", ".join(code(name) for name in names)) for version, names in new.items()],
    )


def endpoints() -> str:
    """Return the table of the paths under ``/metadata``."""
    rows = []
    for path, row in data.read("endpoints").items():
        own = ", ".join(row.get("versions", ()))
        versions = own or (f"{row['since']} and later" if "since" in row else "none")
        verbs = ", ".join(row.get("methods", ("GET",)))
        rows.append((code(f"/metadata/{path}".rstrip("/")), plain(row["about"]), verbs, versions))
    return table(("path", "what it is", "verbs", "api-versions"), rows)


def rules() -> str:
    """Return the table of the rules for callers."""
    rows = data.read("rules").items()
    return table(
        ("rule", "what it asks", "broken, it is", "what to change", "source"),
        [
            (code(name), plain(row["asks"]), row["severity"], plain(row["change"]), plain(row["source"]))
            for name, row in rows
        ],
    )


def interceptors() -> str:
    """Return the table of the libraries that answer in the place of IMDS."""
    rows = data.read("interceptors").values()
    head = ("library", "what it does", "what lets requests to IMDS pass")
    return table(head, [(row["library"], plain(row["rule"]), code(row["passes"])) for row in rows])


def environment() -> str:
    """Return the table of the variables that a client of the server finds changed."""
    rows = []
    for name, row in data.read("environment").items():
        if "value" in row:
            becomes = f"set to {code(row['value'].replace('{url}', '<url>'))}"
        else:
            becomes = "extended by the addresses" if name in NO_PROXY else "removed"
        rows.append((code(name), becomes, plain(row["rule"])))
    return table(("variable", "what becomes of it", "what it is"), rows)


def faults() -> str:
    """Return the table of the faults."""
    return table(("fault", "what the client sees"), [(code(f"{name}({own(name)})"), about(name)) for name in KINDS])


def files() -> str:
    """Return the table of the files of the data."""
    return table(("file", "what is in it"), [(code(f"{name}.json"), about) for name, (_, about) in FILES.items()])


def domains() -> str:
    """Return the table of the domains of the metadata service."""
    by_cloud = data.read("attested")["domains"]["by_cloud"]
    return table(("cloud", "domain"), [(code(cloud), code(domain)) for cloud, domain in by_cloud.items()])


def members() -> str:
    """Return the table of the members of an attested document."""
    attested = data.read("attested")
    classic = attested["classic"]["members"]
    rows = [
        (code(name), since, "yes" if name in classic else "")
        for name, since in sorted(attested["members"]["since"].items(), key=lambda item: (item[1], item[0]))
    ]
    return table(("member", "since api-version", "of a classic VM too"), rows)


def checks() -> str:
    """Return the table of what a verifier must check."""
    return table(
        ("check", "what a verifier makes sure of"), [(code(name), plain(text)) for name, text in CHECKS.items()]
    )


def forgeries() -> str:
    """Return the table of the forgeries."""
    rows = data.read("forgeries")["forgeries"]
    head = ("forgery", "what is wrong", "must check", "`openssl smime`", "`openssl verify`", "where from")
    return table(
        head,
        [
            (
                code(name),
                plain(forgery.why),
                code(forgery.must_check),
                rows[name]["smime"] or "",
                rows[name]["verify"] or "",
                plain(forgery.reference),
            )
            for name, forgery in FORGERIES.items()
        ],
    )


def errors() -> str:
    """Return the table of the errors of a document that is not to be trusted."""
    by_check = {error.check: error for error in AttestationError.__subclasses__()}
    rows = [(code(by_check[check].__name__), code(check), _first_line(by_check[check])) for check in CHECKS]
    return table(("error", "check", "when"), rows)


def _first_line(documented: type) -> str:
    return str(documented.__doc__).partition("\n")[0]
