"""HTML that cannot be forged: text is escaped unless it is `Markup`, and only these functions make that.

Names of models, tensors and machines come from strangers' files.
"""

import html
import json
import re
from collections.abc import Mapping, Sequence

#: Not valid in a page, escaped or not; a lone surrogate has no UTF-8.
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_VOID = frozenset({"meta", "input", "br"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def escape(text: str) -> Markup:
    """Return `text` fit for an element or a quoted attribute; `Markup` stays as it is."""
    if isinstance(text, Markup):
        return text
    return Markup(html.escape(_UNFIT.sub("\ufffd", text)))


def join(parts: Sequence[str]) -> Markup:
    """Return the parts one after another, each escaped."""
    return Markup("".join(escape(part) for part in parts))


def element(tag: str, *children: str, **attributes: str) -> Markup:
    """Return an element; a trailing underscore of an attribute is dropped, others become hyphens."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"' for name, value in attributes.items()
    )
    if tag in _VOID:
        return Markup(f"<{tag}{written}>")
    return Markup(f"<{tag}{written}>{join(children)}</{tag}>")


def script_data(name: str, data: Mapping[str, object]) -> Markup:
    """Return `data` as JSON in a script element that nothing inside can close.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(f'<script type="application/json" id="{escape(name)}">{text}</script>')


def plot_text(name: str) -> str:
    """Return `name` as Plotly shows it literally: it would read tags and entities in it."""
    return html.escape(_UNFIT.sub("\ufffd", name), quote=False)
