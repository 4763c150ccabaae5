"""The server's step: the formulas, and that a checkpoint continues exactly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.errors import InvalidArgumentError
from splitnet.learn.settings import ServerSettings
from splitnet.learn.strategy import ServerState, next_parameters

PARAMETERS = np.array([1.0, -2.0, 3.0], np.float32)
UPDATE = np.array([0.5, 0.0, -1.0])
ADAM = ServerSettings(strategy="fedadam", learning_rate=0.01)


@pytest.mark.parametrize("strategy", ["fedavg", "fedprox"])
def test_the_mean_update_is_added(strategy: str) -> None:
    settings = ServerSettings.model_validate({"strategy": strategy, "learning_rate": 0.5})
    after, state = next_parameters(PARAMETERS, UPDATE, settings=settings, state=ServerState())
    assert after.dtype == np.float32
    assert after.tolist() == [1.25, -2.0, 2.5]
    assert state.to_tensors() == {}


def test_adam_is_that_of_the_paper() -> None:
    """Reddi et al. 2021, algorithm 2, by hand over two rounds."""
    after, state = next_parameters(PARAMETERS, UPDATE, settings=ADAM, state=ServerState())
    first, second = 0.1 * UPDATE, 0.99e-6 + 0.01 * UPDATE**2
    expected = PARAMETERS + 0.01 * first / (np.sqrt(second) + 1e-3)
    assert np.allclose(after, expected, rtol=1e-6, atol=0)
    again, _ = next_parameters(after, -UPDATE, settings=ADAM, state=state)
    first, second = 0.9 * first - 0.1 * UPDATE, 0.99 * second + 0.01 * UPDATE**2
    assert np.allclose(again, after + 0.01 * first / (np.sqrt(second) + 1e-3), rtol=1e-6, atol=0)


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3), st.integers(1, 5))
def test_a_checkpoint_continues_exactly(update: list[float], rounds: int) -> None:
    one, kept = (PARAMETERS, ServerState()), (PARAMETERS, ServerState())
    for _ in range(rounds):
        one = next_parameters(one[0], np.array(update), settings=ADAM, state=one[1])
        restored = ServerState.from_tensors(kept[1].to_tensors() | {"other": np.zeros(1)})
        kept = next_parameters(kept[0], np.array(update), settings=ADAM, state=restored)
    assert np.array_equal(one[0], kept[0])


def test_an_update_of_another_model_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="2 values for 3 parameters"):
        next_parameters(PARAMETERS, np.zeros(2), settings=ADAM, state=ServerState())
    with pytest.raises(InvalidArgumentError, match="a state of 2 values"):
        next_parameters(PARAMETERS, UPDATE, settings=ADAM, state=ServerState(np.zeros(2), np.zeros(2)))


def test_parameters_stay_finite() -> None:
    settings = ServerSettings(learning_rate=1e38)
    with pytest.raises(InvalidArgumentError, match=r"lower server\.learning_rate"):
        next_parameters(PARAMETERS, 100 * UPDATE, settings=settings, state=ServerState())
