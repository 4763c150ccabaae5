"""The lower end of a link: asking the tier above, over one connection or several."""
