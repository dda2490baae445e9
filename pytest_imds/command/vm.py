"""``vm``: what ``/metadata/instance`` answers for a VM, without a server."""

from __future__ import annotations

from argparse import Namespace

from pytest_imds.command import values
from pytest_imds.command.output import Output
from pytest_imds.service import versions
from pytest_imds.vm.projection import view
from pytest_imds.vm.provider import generate, generator


def show(asked: Namespace, output: Output) -> int:
    """Print the JSON.

    Returns:
        The exit status.

    Raises:
        ImdsUsageError: there is no such VM, or no such api-version.
    """
    versions.check(asked.api_version)
    knobs = values.settings(asked.set, values.knobs())
    vm = generate(generator(), asked.profile, asked.seed, knobs)
    output.line(str(view(vm, versions.supported(asked.api_version)[-1]).json(())))
    return 0
