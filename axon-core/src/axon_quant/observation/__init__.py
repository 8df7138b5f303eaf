"""Market events in, windows of float32 features out."""

from axon_quant.observation.builder import Observation
from axon_quant.observation.features import FEATURES, MicrostructureFeatures
from axon_quant.observation.schema import FeatureSchema
from axon_quant.observation.window import ObservationWindow

__all__ = ["FEATURES", "FeatureSchema", "MicrostructureFeatures", "Observation", "ObservationWindow"]
