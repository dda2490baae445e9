"""Tests of users that have virtual time: how they find out whose the time is."""

from __future__ import annotations

# Inner tests ask in this way whose the time is.
WHOSE = """
    import asyncio
    import time
    from time import monotonic, sleep

    def is_real():
        assert type(time.sleep) is type(sleep) is type(time.monotonic) is type(monotonic) is type(len)
        assert threading.Thread.join.__module__ == threading.Condition.wait.__module__ == "threading"
        assert not {"__wrapped__"} & {*vars(threading.Thread.join), *vars(threading.Condition.wait)}

    def is_virtual():
        assert type(time.sleep) is type(sleep) is not type(len)
        began = monotonic()
        sleep(60)
        assert 60 <= time.monotonic() - began < 61
"""
