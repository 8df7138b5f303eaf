"""Backups of what a run cannot do without: its journal, its models and its configuration."""

from axon_quant.backup.making import back_up
from axon_quant.backup.manifest import Entry, Manifest
from axon_quant.backup.restoring import check, restore

__all__ = ["Entry", "Manifest", "back_up", "check", "restore"]
