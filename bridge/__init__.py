"""Fusion Bridge keeps firewalls outside a Kubernetes cluster in step with the identities inside it."""

__version__ = "0.1.0"
