"""Where each watched resource lives in the Kubernetes API."""

from bridge.model.kinds import KINDS, Kind

__all__ = ["FIELD_MANAGER", "KINDS", "Kind"]

FIELD_MANAGER = "fusion-bridge"
