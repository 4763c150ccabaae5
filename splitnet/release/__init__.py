"""From learned parameters to a better running service: a candidate, its judgement, and rolling a version out.

Nothing is re-exported: `candidate` needs the extra `partition`, while `rollout` runs on any machine.
"""
