"""Wiring: the only package that imports every stage.

Read it in this order: `wiring` puts the pipeline together, `engine` runs it, `replay` and `live` drive the engine. A
live run settles what is past (`past`, `reconciliation`), sends orders through `router`, and obeys its `operations`.
`telemetry` and `tracing` tell how it goes; `decisions` reads afterwards what was decided, and computes it again.
"""
