"""How the conformance suite tests OKX: it asks for a passphrase, and its dead-man switch takes 10 s at least."""

OPTIONS = {"okx": [{"passphrase": True, "shortest_deadline": 10.0}]}
