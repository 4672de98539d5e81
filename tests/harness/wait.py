"""Waiting for a condition: the only way in which a test may let time pass.

A timeout here is a failure's bound, never a measurement: it is generous, and its message says what was awaited and what was
seen last.
"""
import time


class Timeout(AssertionError):
    """The awaited condition did not come true."""


def wait_until(condition, what, timeout=30.0, pause=0.02):
    """Calls condition() until it returns something true, and returns that. Exceptions count as "not yet"."""
    end = time.monotonic() + timeout
    last = None
    while True:
        try:
            value = condition()
            last = value
        except Exception as error:  # the thing asked may be down: that is what many tests wait out
            value, last = None, f"{type(error).__name__}: {error}"
        if value:
            return value
        if time.monotonic() >= end:
            raise Timeout(f"after {timeout:g} s still waiting for {what}; last seen: {last!r}")
        time.sleep(pause)


def stays(condition, what, seconds):
    """Fails when condition() is false at any moment of a stretch of time (for what must NOT happen)."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        assert value, f"no longer true within {seconds:g} s: {what}; seen: {value!r}"
        time.sleep(0.05)
