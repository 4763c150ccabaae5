"""What a device takes an answer for: whose samples were computed now, and by whom."""

from splitnet.adaptive import SampleEnd
from splitnet.errors import UnavailableError
from splitnet.runtime import Answer
from splitnet_device.choice import _ends


def test_what_a_tier_had_kept_tells_nothing_of_those_above() -> None:
    exits, fallbacks = ("device", "cloud"), ("", "")
    assert _ends(Answer({}, exits, fallbacks), None) == [SampleEnd("device", ""), SampleEnd("cloud", "")]
    kept = Answer({}, exits, fallbacks, is_kept=True)
    assert _ends(kept, None) == [SampleEnd("device", ""), SampleEnd("", "")]


def test_without_an_answer_the_error_counts() -> None:
    assert _ends(None, UnavailableError("gone")) == [SampleEnd("", "UNAVAILABLE")]
    assert _ends(None, None) == [SampleEnd("", "")]
