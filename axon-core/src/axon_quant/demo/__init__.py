"""`axon demo`: everything at once on the embedded defaults, and one page that shows what happened.

Read it in this order: `session` runs it, `history` reads it back from the journal, `page` draws it.
"""

__all__: list[str] = []
