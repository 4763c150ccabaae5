"""One Hypothesis profile for the whole suite: the same examples on every machine, and few of them."""

from hypothesis import settings

settings.register_profile("suite", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("suite")
