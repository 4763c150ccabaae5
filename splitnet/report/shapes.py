"""Lengths and rectangles of an SVG picture."""

from splitnet.report.markup import Markup, element


def rectangle(x: float, y: float, width: float, height: float, *, radius: float, class_: str) -> Markup:
    """Return a rectangle with round corners; all lengths in px."""
    return element("rect", x=px(x), y=px(y), width=px(width), height=px(height), rx=px(radius), class_=class_)


def px(value: float) -> str:
    """Return a length as SVG writes it, to a tenth of a px."""
    return f"{value:.1f}".removesuffix(".0")
