"""The upper end of a link: the protocol's calls, their limits, and the streams they come on."""
