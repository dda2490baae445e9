"""An Azure VM for every test: the Instance Metadata Service as a pytest plugin and as a test double.

Everything that may be imported is here. The names resolve when they are used,
so that loading the plugin stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_imds.errors import ImdsError, ImdsPortError, ImdsServerError, ImdsUsageError
    from pytest_imds.server import ImdsServer
    from pytest_imds.vm.model import Vm
    from pytest_imds.vm.provider import ImdsProvider

    __version__: str

__all__ = [
    "ImdsError",
    "ImdsPortError",
    "ImdsProvider",
    "ImdsServer",
    "ImdsServerError",
    "ImdsUsageError",
    "Vm",
    "__version__",
]

_ROOMS = {
    "ImdsError": "errors",
    "ImdsPortError": "errors",
    "ImdsProvider": "vm.provider",
    "ImdsServer": "server",
    "ImdsServerError": "errors",
    "ImdsUsageError": "errors",
    "Vm": "vm.model",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("pytest-imds")
    if name in _ROOMS:
        return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
