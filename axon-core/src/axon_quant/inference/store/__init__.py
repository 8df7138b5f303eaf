"""The model store: every version of every model by its SHA-256, and what one has to know to run it again."""

from axon_quant.inference.store.deploying import deploy
from axon_quant.inference.store.history import Change
from axon_quant.inference.store.machine import Machine, this_machine
from axon_quant.inference.store.records import StoredModel, StoredPlan
from axon_quant.inference.store.store import ModelStore

__all__ = ["Change", "Machine", "ModelStore", "StoredModel", "StoredPlan", "deploy", "this_machine"]
