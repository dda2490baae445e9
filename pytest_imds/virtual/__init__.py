"""Virtual time: ``time``, threads and asyncio keep the time of a clock, which goes on where all would only wait."""

from pytest_imds.virtual.driver import VirtualTime
from pytest_imds.virtual.traffic import Standing, Traffic

__all__ = ["Standing", "Traffic", "VirtualTime"]
