"""A real Kubernetes control plane for tests, and a stand-in for the nodes that it lacks."""
