"""Wiring: the only package that imports every stage.

Read it in this order: `wiring` puts the pipeline together, `engine` runs it, `replay` and `live` drive the engine.
"""
