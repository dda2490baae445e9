"""What can be said on the command line."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from typing import Any, NoReturn

from pytest_imds.command.output import Output
from pytest_imds.errors import ImdsUsageError

LISTINGS = {
    "profiles": "list the kinds of VM there are",
    "faults": "list what can break, and what each fault takes",
    "forgeries": "list the forged attested documents, and what is wrong with each",
    "versions": "list the api-versions, and the fields that each brought",
}


class Parser(ArgumentParser):
    """A parser whose errors are those of the library, and which minds who reads its help."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line.

        Raises:
            ImdsUsageError: always.
        """
        raise ImdsUsageError(f"{message} (see {self.prog} --help)")

    def print_help(self, file: Any = None) -> None:
        """Write the help."""
        Output().line(self.format_help().rstrip("\n"))


def parse(arguments: Sequence[str] | None = None) -> Namespace:
    """Return what the command line says.

    Args:
        arguments: the command line without the name of the program; None is that of this process.

    Raises:
        ImdsUsageError: it cannot be understood.
        SystemExit: it asked for help.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] != ["run"]:
        return _parser().parse_args(given)
    # Releases of argparse differ in what they make of what stands behind "--".
    end = given.index("--") if "--" in given else len(given)
    asked, unknown = _parser().parse_known_args(given[:end])
    asked.command = given[end + 1 :]
    if not asked.command:
        raise ImdsUsageError("run needs a command behind --: pytest-imds run [OPTION ...] -- COMMAND ARG ...")
    if unknown:
        raise ImdsUsageError(f"unrecognized arguments before --: {' '.join(unknown)} (see pytest-imds run --help)")
    return asked


def _parser() -> Parser:
    parser = Parser("pytest-imds", description="A local Azure Instance Metadata Service (IMDS).", allow_abbrev=False)
    subcommands = parser.add_subparsers(dest="subcommand", metavar="SUBCOMMAND", required=True)

    def subcommand(name: str, about: str, *parents: Parser, **more: Any) -> Parser:
        capital = f"{about[0].upper()}{about[1:]}."
        return subcommands.add_parser(
            name, help=about, description=capital, parents=parents, allow_abbrev=False, **more
        )

    vm, server, json = _vm(), _server(), _json()
    subcommand("serve", "serve a VM's metadata until SIGINT or SIGTERM", vm, server, json)
    subcommand(
        "run",
        "run a command in a network of its own, where 169.254.169.254 serves a VM's metadata",
        *(vm, server),
        usage="pytest-imds run [OPTION ...] -- COMMAND ARG ...",
        epilog="The exit status is the command's; 1 if the command has succeeded and something in the server has not,"
        " such as a fault that never fired.",
    )
    shown = subcommand("vm", "print what /metadata/instance answers for a VM", vm)
    shown.add_argument("--api-version", metavar="VERSION", help="as which api-version has it (default: the newest)")
    for name, about in LISTINGS.items():
        subcommand(name, about, json)
    return parser


def _vm() -> Parser:
    options = Parser(add_help=False)
    options.add_argument("--profile", default="linux", help="what kind of VM it is (default: linux)")
    options.add_argument(
        "--seed", type=_seed, default=0, help="the same seed gives the same VM; a number or text (default: 0)"
    )
    options.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="turn a knob of the VM, or set what else the server takes; JSON where the value is JSON, else text",
    )
    return options


def _server() -> Parser:
    options = Parser(add_help=False)
    options.add_argument("--port", type=_port, default=0, help="the port to listen on (default: a free one)")
    options.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[:PARAMETER=VALUE,...]",
        help="what breaks, such as gone:window=70; may be repeated",
    )
    options.add_argument("--rate-limit", action="store_true", help="refuse more requests a second than Azure answers")
    return options


def _json() -> Parser:
    options = Parser(add_help=False)
    options.add_argument("--json", action="store_true", help="write JSON, for a program to read")
    return options


def _seed(text: str) -> int | str:
    """Return a seed as Python code would give it: 7 and "7" are different ones."""
    try:
        return int(text)
    except ValueError:
        return text


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= 65535):
        raise ArgumentTypeError(f"{text!r} is no port: a whole number from 0 to 65535")
    return int(text)
