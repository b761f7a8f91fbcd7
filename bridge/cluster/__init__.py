"""The Kubernetes side: how a cluster is reached, watched, made sense of and written to. The only room that imports the official client."""
