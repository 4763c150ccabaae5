"""What holds for the whole suite: one Hypothesis profile, the same on every machine, and SIGINT heard."""

import signal

from hypothesis import settings

settings.register_profile("suite", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("suite")

# A shell starts what runs in its background with SIGINT ignored, and programs started from here inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
