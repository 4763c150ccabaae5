"""The rule by which a candidate is released or refused (docs/release.md)."""

from dataclasses import asdict, dataclass
from typing import Any

from splitnet.errors import InvalidArgumentError
from splitnet.release.figures import Figures, Outcomes, summed_up
from splitnet.release.paired import Paired, drop_bound, paired

NAME = "no-worse-and-better"

# Three ways to be better are tried: each gets an equal part of alpha.
_WAYS = 3


@dataclass(frozen=True, slots=True)
class Rule:
    """How sure a release must be.

    Attributes:
        tolerance: the accuracy of all tiers together may drop by at most this share of samples, in [0, 1).
        alpha: the probability, of each of the rule's two halves, that it is passed by luck, in (0, 1).
    """

    tolerance: float = 0.01
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < 1:
            raise InvalidArgumentError(f"tolerance: expected 0 to below 1, got {self.tolerance}")
        if not 0 < self.alpha < 1:
            raise InvalidArgumentError(
                f"alpha: expected a number between 0 and 1, both excluded, got {self.alpha}"
            )


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a candidate was found to be.

    Attributes:
        released: whether it is to replace the running version.
        reason: why, in a sentence.
        rule: by which it was judged.
        samples: how many it was judged on.
        truth: what counted as right: "labels", or "running" for the last tier's answers of the running version.
        running: figures of the running version.
        candidate: figures of the candidate.
        accuracy: paired, of the answers that samples get.
        device_accuracy: paired, of the device's exit; None where it has none.
        forwarded: paired; a gain is a sample that no longer goes up.
        drop_bound: upper bound on the drop of the accuracy, which holds with probability 1 - alpha.
    """

    released: bool
    reason: str
    rule: Rule
    samples: int
    truth: str
    running: Figures
    candidate: Figures
    accuracy: Paired
    device_accuracy: Paired | None
    forwarded: Paired
    drop_bound: float

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON's types."""
        fields = asdict(self)
        fields["rule"]["name"] = NAME
        return fields


def judge(running: Outcomes, candidate: Outcomes, versions: tuple[int, int], truth: str, rule: Rule) -> Judgement:
    """Hold a candidate against the running version on the same samples.

    Args:
        running: what became of the samples.
        candidate: the same.
        versions: of both.
        truth: what counted as right, for the report.
        rule: how sure to be.
    """
    accuracy = paired(running.right, candidate.right)
    forwarded = paired(~running.forwarded, ~candidate.forwarded)
    device = None
    if running.device_right is not None and candidate.device_right is not None:
        device = paired(running.device_right, candidate.device_right)
    n = len(running.right)
    bound = drop_bound(accuracy, n, alpha=rule.alpha)
    better = _better(accuracy, device, forwarded, rule.alpha / _WAYS)
    released, reason = _verdict(accuracy, bound, better, rule)
    return Judgement(
        released=released,
        reason=reason,
        rule=rule,
        samples=n,
        truth=truth,
        running=summed_up(versions[0], running),
        candidate=summed_up(versions[1], candidate),
        accuracy=accuracy,
        device_accuracy=device,
        forwarded=forwarded,
        drop_bound=bound,
    )


def _better(accuracy: Paired, device: Paired | None, forwarded: Paired, alpha: float) -> list[str]:
    """Return in which ways the candidate is shown to be better."""
    ways = []
    if forwarded.p_better <= alpha:
        ways.append("fewer samples go up")
    if accuracy.p_better <= alpha:
        ways.append("more answers are right")
    # A better exit alone is no gain where more samples go up for it.
    if device is not None and device.p_better <= alpha and forwarded.p_worse > alpha:
        ways.append("the device's exit is right more often")
    return ways


def _verdict(accuracy: Paired, bound: float, better: list[str], rule: Rule) -> tuple[bool, str]:
    sure = f"{100 * (1 - rule.alpha):.3g} % sure"
    if bound > rule.tolerance:
        return False, (
            f"the accuracy may drop by up to {bound:.4f} ({sure}), and {rule.tolerance:g} is tolerated: "
            f"{accuracy.lost} right answers are lost and {accuracy.gained} gained, or too few samples to tell"
        )
    if not better:
        return False, (
            f"no worse (the accuracy drops by at most {bound:.4f}, {sure}), but neither fewer samples that go up "
            "nor more right answers are shown"
        )
    return True, f"{' and '.join(better)}; the accuracy drops by at most {bound:.4f} ({sure})"
