"""Which certificates may do what with which models, by the names that they bear."""

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from splitnet.config import AccessRule, CloudConfig
from splitnet.errors import ConfigError, PermissionDeniedError
from splitnet.protocol.quoting import quote

#: To ask for answers, to load and unload versions, to ask what a model is and whether it is there.
Action = Literal["infer", "load", "read"]

# Beside NAME.TIER a tier offers NAME.TIER.PLAN: who may call the one may call the other.
_PLAN = re.compile(r"\.[0-9a-f]{12}\Z")
_REFUSED: dict[Action, str] = {
    "infer": "call model {model}",
    "load": "load or unload versions of model {model}",
    "read": "ask about model {model}",
}


class Access:
    """The rules of a tier; whoever is asked about has shown a certificate of the site's authority.

    With rules, what none of them allows is denied. Without any, every certificate of the site may call and ask
    about every model, and none may load or unload unless `load_without_rules`.
    """

    def __init__(self, rules: Sequence[AccessRule], *, load_without_rules: bool = False) -> None:
        self._rules = tuple(rules) or (AccessRule(names=("*",), load=load_without_rules),)

    def check(self, names: Sequence[str], *, model: str, action: Action) -> None:
        """Let pass what is allowed.

        Args:
            names: that the peer's verified certificate bears; see `names_of`.
            model: that is meant, such as "pcb" or "pcb.edge".
            action: what is asked for.

        Raises:
            PermissionDeniedError: no rule allows it. The message names the caller by its own certificate alone.
        """
        if not self.allows(names, model=model, action=action):
            who = names[0] if names else "a caller without a certificate"
            raise PermissionDeniedError(f"{who} may not {_REFUSED[action].format(model=quote(model))} here")

    def allows(self, names: Sequence[str], *, model: str, action: Action) -> bool:
        """Whether `check` lets it pass."""
        models = {model, _PLAN.sub("", model)}
        return any(
            (rule.load or action != "load")
            and any(_fits(name, rule.names) for name in names)
            and any(_fits(each, rule.models) for each in models)
            for rule in self._rules
        )


def access_of(config: CloudConfig) -> Access | None:
    """Return the rules of a serving tier; None where callers show no certificates, and all may do the same.

    Raises:
        ConfigError: there are rules, but no certificates to go by.
    """
    if config.tls is None:
        if config.access:
            raise ConfigError("access: rules go by the names of certificates: it needs the table `tls` too")
        return None
    return Access(config.access, load_without_rules=config.may_load)


def names_of(auth_context: Mapping[str, Iterable[bytes]]) -> tuple[str, ...]:
    """Return the names that a peer's certificate bears, from `grpc.ServicerContext.auth_context()`.

    These are its DNS names, without its IP addresses; none on a plaintext link.
    """
    texts = (each.decode(errors="replace") for each in auth_context.get("x509_subject_alternative_name", ()))
    return tuple(text for text in texts if not _is_ip(text))


def _fits(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of `patterns` is `name`, whole; `*` stands for any run of characters, all else for itself."""
    return any(_fits_one(name, pattern.split("*")) for pattern in patterns)


def _fits_one(name: str, parts: list[str]) -> bool:
    """Find the parts between stars one behind the other: unlike a regex, in time that grows with the name."""
    if len(parts) == 1:
        return name == parts[0]
    first, *middle, last = parts
    if len(name) < len(first) + len(last) or not (name.startswith(first) and name.endswith(last)):
        return False
    at, end = len(first), len(name) - len(last)
    for part in middle:
        found = name.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
