"""Serves the explorer: a page on which a person moves a generator's directions."""
