"""What an answer says beside its tensors, and what is read of it."""

from splitnet.runtime import Answer
from splitnet.tier.parameters import answer_parameters, queue_times_of, timings_of


def test_a_wait_of_nothing_is_not_sent_and_read_as_nothing() -> None:
    times, waits = {"edge": 2.0, "cloud": 3.5}, {"edge": 0.0, "cloud": 1.25}
    said = answer_parameters(Answer({}, ("cloud",), ("",), times, queue_ms=waits))
    assert said == {
        "splitnet_exit": "cloud",
        "splitnet_edge_ms": 2.0,
        "splitnet_cloud_ms": 3.5,
        "splitnet_cloud_queue_ms": 1.25,
    }
    assert (timings_of(said), queue_times_of(said)) == (times, waits)


def test_of_a_server_that_tells_no_times_no_waits_are_known() -> None:
    assert (timings_of({}), queue_times_of({})) == ({}, {})
    assert queue_times_of({"splitnet_cloud_ms": 1.0, "splitnet_cloud_queue_ms": "soon"}) == {}
