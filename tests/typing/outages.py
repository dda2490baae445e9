"""Faults and virtual time as a user's type checker sees them. Checked by mypy, never run and never collected."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from typing_extensions import assert_type

from pytest_imds import Clock, Fault, Faults, Fired, ImdsServer


@pytest.mark.imds_fault("gone", window=70, path="/metadata/instance*", required=False)
@pytest.mark.imds_fault("sequence", Fault("not_found", times=2), Fault("latency", 5, jitter=1))
@pytest.mark.imds(rate_limit=True, chaos=False)
def test_outages(imds_server: ImdsServer, imds_faults: Faults) -> None:
    assert_type(imds_server.faults, Faults)
    assert_type(imds_faults.fired, tuple[Fired, ...])
    fired = imds_faults.fired[0]
    assert_type((fired.fault, fired.request, fired.at_s), tuple[str, str, float])
    assert_type(imds_faults.sequence(Fault("gone", window=70), Fault("throttled", requests=2)), None)
    assert_type(imds_faults.clear(), None)
    assert_type(ImdsServer(rate_limit=True).faults, Faults)


def test_every_fault(imds_faults: Faults) -> None:
    assert_type(imds_faults.gone(), None)
    imds_faults.gone(window=0.5, path="*", after=1, times=2, probability=0.5, required=False)
    imds_faults.throttled(requests=2, retry_after=5, window=10)
    imds_faults.missing_header(window=5)
    imds_faults.forwarded(window=5)
    imds_faults.server_error(503, window=5)
    imds_faults.not_found(times=2)
    imds_faults.stale_nonce()
    imds_faults.stale_identity()
    imds_faults.flapping(up=5, down=0.5)
    imds_faults.wrong_content("<html>")
    imds_faults.wrong_content(b"", content_type="text/plain")
    imds_faults.wrong_cloud("gcp")
    imds_faults.wrong_service("firecracker")
    imds_faults.latency(5, jitter=0.5, times=1)
    imds_faults.blackhole()
    imds_faults.reset(after_bytes=10)
    imds_faults.empty_response()
    imds_faults.half_closed(10)
    imds_faults.truncated(bytes=10)
    imds_faults.malformed_chunk()
    imds_faults.random_data()
    imds_faults.dribble(chunks=10, over=5)
    imds_faults.refused(after=1, window=5)
    imds_faults.connect_timeout(times=1)


def test_virtual_time(imds_clock: Clock, imds_server: ImdsServer) -> None:
    assert_type(imds_server.clock, Clock)
    assert_type(imds_clock.now, datetime)
    assert_type(imds_clock.time(), float)
    assert_type(imds_clock.monotonic(), float)
    assert_type(imds_clock.sleep(0.5), None)
    assert_type(imds_clock.advance(70), None)


def test_mistakes_about_outages_that_a_type_checker_finds(imds_faults: Faults, imds_clock: Clock) -> None:
    imds_faults.gon()  # type: ignore[attr-defined]
    imds_faults.gone(70)  # type: ignore[call-arg]
    imds_faults.gone(windows=70)  # type: ignore[call-arg]
    imds_faults.server_error("500")  # type: ignore[arg-type]
    imds_faults.not_found(path=7)  # type: ignore[arg-type]
    imds_faults.latency()  # type: ignore[call-arg]
    imds_faults.sequence("gone")  # type: ignore[arg-type]
    imds_faults.fired = ()  # type: ignore[misc]
    imds_clock.now = datetime.now(timezone.utc)  # type: ignore[misc]
    imds_clock.advance(timedelta(seconds=70))  # type: ignore[arg-type]
