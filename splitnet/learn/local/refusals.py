"""What training refuses, by the names of the secure sum, whose code it never loads."""

from splitnet.errors import RefusalError


def not_finite(what: str) -> RefusalError:
    """Return the error for NaN or infinity in a round."""
    return RefusalError(f"{what}; this device takes no part in the round", reason="not-finite")


def another_model(what: str) -> RefusalError:
    """Return the error for parameters that are not the package's."""
    return RefusalError(f"{what}; this device takes no part in the round", reason="another-model")
