"""A decision as a report: the facts, the words for them, and the three forms they take (page, print, JSON)."""
