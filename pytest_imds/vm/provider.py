"""A Faker provider for Azure VMs."""

from __future__ import annotations

from collections.abc import Mapping

from faker import Factory, Generator
from faker.providers import BaseProvider

from pytest_imds.vm import profiles
from pytest_imds.vm.builder import build
from pytest_imds.vm.model import Vm


class ImdsProvider(BaseProvider):
    """Generates Azure VMs: ``fake.add_provider(ImdsProvider)``, then ``fake.imds_vm()``."""

    def imds_vm(self, profile: str = "linux", **knobs: object) -> Vm:
        """Return a VM of ``profile`` whose parts agree with one another.

        Args:
            profile: one of the profiles in ``fixtures_data/profiles.json``.
            knobs: what it shall be like: the fields of ``Knobs``.

        Raises:
            ImdsUsageError: no such profile or knob, or no Azure VM is like that.
        """
        vm = build(profiles.resolve(profile, knobs), self.generator)
        vm.profile = profile
        return vm


def generator() -> Generator:
    """Return a Faker generator that knows VMs, in English: the same seed gives the same VM everywhere.

    It has the one provider that the builder asks, and takes every name for
    equally common: Faker() takes ten times as long to make and a hundred times
    as long to answer.
    """
    fake = Factory.create("en_US", providers=["faker.providers.person"], use_weighting=False)
    fake.add_provider(ImdsProvider)
    return fake


def generate(
    fake: Generator, profile: str, seed: int | str, knobs: Mapping[str, object], member: int | None = None
) -> Vm:
    """Return the VM that ``seed`` stands for; of a fleet, the one that is ``member``, counted from 0."""
    fake.seed_instance(seed)
    vm = build(profiles.resolve(profile, knobs), fake, member)
    vm.profile, vm.seed = profile, seed
    return vm
