"""One line per check: `ok NAME` or `FAIL NAME: why`; `finish` exits non-zero after a failure."""

import os
import sys
import time
import traceback

failed = False


def check(name, run):
    global failed
    try:
        run()
        print(f"ok {name}", flush=True)
    except Exception as error:  # a check that dies is a check that failed
        failed = True
        why = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        print(f"FAIL {name}: {why}", flush=True)
        if os.environ.get("VERBOSE"):
            traceback.print_exc()


def until(condition, what, seconds=20):
    """Waits for what another thread brings about."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


def finish():
    sys.stdout.flush()
    # The SDK's websocket threads are not daemons.
    os._exit(1 if failed else 0)
