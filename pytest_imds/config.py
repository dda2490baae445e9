"""Options, turned into one frozen value. Markers are read in ``markers``."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import pytest

# One line a marker, as `pytest --markers` shows it: the signature, then what it does.
MARKERS = {
    "imds_vm": 'imds_vm(profile="linux", **knobs): the VM that imds_server serves: its profile and what is different'
    " (location, tags, vm_size, scale_set, identity, user_identities, load_balancer, data_disks, user_data ...)",
    "imds": 'imds(*, newest=None, cloud=None, chain="2024", aia=None, digest_oid="sha256WithRSAEncryption",'
    " identity_v2=False, rate_limit=False, redirect=False, chaos=True, audit=None, ignore=None): the service that"
    " answers: the newest api-version it has, the cloud it runs in, how its attested documents are signed, whether it"
    " has IMDSv2, whether it limits the rate of requests, whether clients of this process reach it at 169.254.169.254,"
    " whether --imds-chaos may break requests; and which of IMDS's rules its clients have to keep, and need not keep",
    "imds_fault": "imds_fault(name, **parameters): breaks requests to imds_server: gone, throttled, server_error,"
    " latency, blackhole, reset, refused ...; takes what the method of that name takes, with path, after, times,"
    " window, probability and required; stacked markers all apply, and a fault that never fires fails the test",
    "imds_forgeries": "imds_forgeries(only=None, skip=None): which forgeries the fixture imds_forgery gives, by their"
    " names or by the checks that they are for",
    "imds_namespace": "imds_namespace(): the test starts programs in networks of their own (imds_server.run); skips it"
    " where the system does not allow that, and says what to enable",
}

# What a marker is about: if a test has none of these, it gets the first.
MARKER_FIXTURES = {
    "imds_vm": ("imds_vm",),
    "imds": ("imds_server", "make_imds_server"),
    "imds_fault": ("imds_server",),
}


class Options(NamedTuple):
    """What the command line and the ini file say.

    Every test run makes this class, and a frozen dataclass takes five times as long to make.
    """

    seed: str
    profile: str
    authority_keys: str
    rate_limit: bool
    guard: bool
    chaos: str | None
    report: str | None
    audit: tuple[str, ...]


AUTHORITY_KEYS = ("rsa", "ec")
# What chaos is called by workers of xdist, and in the properties of reports.
CHAOS = "imds_chaos"
# What the width of the terminal is called by workers of xdist, and what it is where there is none.
WIDTH, WIDE = "imds_width", 120
OPTIONS = pytest.StashKey[Options]()


def add_options(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("imds", "Azure Instance Metadata Service (pytest-imds)")
    group.addoption(
        "--imds-seed",
        default=None,
        metavar="SEED",
        help="generate the VMs of this seed; a test has the same VM as long as its id and the seed are the same"
        " (default: the ini option imds_seed)",
    )
    group.addoption(
        "--imds-chaos",
        nargs="?",
        const="",
        default=None,
        metavar="SEED",
        help="break requests to IMDS at random with what passes: 410, 429, 500, latency, resets; the same seed gives"
        " the same faults (default: a new seed, which is shown)",
    )
    group.addoption(
        "--imds-guard",
        action="store_true",
        default=None,
        help="refuse connections of this process to 169.254.169.254 and 168.63.129.16 that no server of a test answers"
        " (default: the ini option imds_guard)",
    )
    group.addoption(
        "--imds-report",
        default=None,
        metavar="FILE.html",
        help="write a page about the run that shows in time what each test asked its servers, and what they answered",
    )
    parser.addini("imds_seed", "the seed that VMs are generated from", default="0")
    parser.addini("imds_profile", "the profile of a VM whose test names none", default="linux")
    parser.addini(
        "imds_authority_keys",
        "the keys of the certificate authorities that sign attested documents: rsa, or ec, which are made sooner",
        default="rsa",
    )
    parser.addini(
        "imds_rate_limit",
        "refuse more requests a second than Azure answers: 5, and 20 for managed identity",
        type="bool",
        default=False,
    )
    parser.addini(
        "imds_audit",
        "the rules of IMDS for its callers that the clients of every test have to keep: their names, or all",
        type="args",
        default=[],
    )
    parser.addini("imds_guard", "the same as --imds-guard, for every run", type="bool", default=False)


def read_options(config: pytest.Config) -> Options:
    """Read the options, once, and declare the markers."""
    for line in MARKERS.values():
        config.addinivalue_line("markers", line)
    seed, guard = config.getoption("--imds-seed"), config.getoption("--imds-guard")
    options = Options(
        seed=config.getini("imds_seed") if seed is None else seed,
        profile=config.getini("imds_profile"),
        authority_keys=config.getini("imds_authority_keys"),
        rate_limit=config.getini("imds_rate_limit"),
        guard=config.getini("imds_guard") if guard is None else guard,
        chaos=_chaos(config),
        report=config.getoption("--imds-report"),
        audit=tuple(config.getini("imds_audit")),
    )
    if options.authority_keys not in AUTHORITY_KEYS:
        raise pytest.UsageError(
            f"the ini option imds_authority_keys cannot be {options.authority_keys!r}.\n"
            f"  known: {', '.join(AUTHORITY_KEYS)}"
        )
    config.stash[OPTIONS] = options
    return options


def _chaos(config: pytest.Config) -> str | None:
    """Return the seed of chaos, or None; where none is given it is a new one."""
    if hasattr(config, "workerinput"):
        of_all: str | None = config.workerinput[CHAOS]
        return of_all
    seed: str | None = config.getoption("--imds-chaos")
    if seed and os.path.exists(seed.partition("::")[0]):  # noqa: PTH110 - a Path raises where the name is too long
        raise pytest.UsageError(
            f"the option --imds-chaos cannot be {seed!r}: that is what to run.\n"
            "  right: --imds-chaos=SEED, or --imds-chaos behind the files"
        )
    if seed == "":
        from secrets import randbelow  # few runs need it

        seed = str(randbelow(100_000))
    return seed


def width(config: pytest.Config) -> int:
    """Return how wide the terminal is."""
    if hasattr(config, "workerinput"):
        of_all: int = config.workerinput[WIDTH]
        return of_all
    return config.get_terminal_writer().fullwidth if config.pluginmanager.has_plugin("terminalreporter") else WIDE


def again(item: pytest.Item) -> list[str]:
    """Return the command that runs a test again as it was."""
    options = item.config.stash[OPTIONS]
    chaos = [] if options.chaos is None else [f"--imds-chaos={options.chaos}"]
    guard = ["--imds-guard"] if options.guard and not item.config.getini("imds_guard") else []
    return ["pytest", node_id(item), f"--imds-seed={options.seed}", *chaos, *guard]


def node_id(item: pytest.Item) -> str:
    """Return the id of a test as a user writes it: xdist puts the names of its groups behind it."""
    groups = {
        str(mark.args[0] if mark.args else mark.kwargs.get("name", "default"))
        for mark in item.iter_markers("xdist_group")
    }
    return item.nodeid.removesuffix(f"@{'_'.join(sorted(groups))}") if groups else item.nodeid


def fixtures(item: pytest.Function) -> list[str]:
    """Return the fixtures of a test, with those that its markers ask for.

    It is a new list: that of the item is shared by the parameters of a test, which may have marks of their own.
    """
    named = item.fixturenames
    # Other fixtures may be clients already, or start programs.
    first = ["_imds_namespace"] if item.get_closest_marker("imds_namespace") is not None else []
    if _nearest(item, "redirect") is True:  # what is no bool is refused with the other options
        first.append("imds_redirect")
    last = [
        ours[0]
        for marker, ours in MARKER_FIXTURES.items()
        if item.get_closest_marker(marker) is not None and not {*ours} & {*named}
    ]
    audit = _nearest(item, "audit")
    of_all = item.config.stash[OPTIONS].audit and ("_imds_servers" in named or first or last)
    if audit not in (None, False) or (audit is None and of_all):
        first.append("imds_audit")
    return list(dict.fromkeys((*(name for name in first if name not in named), *named, *last)))


def _nearest(item: pytest.Function, option: str) -> Any:
    """Return what the nearest marker ``imds`` says that has the option; None if none has."""
    return next((mark.kwargs[option] for mark in item.iter_markers("imds") if option in mark.kwargs), None)
