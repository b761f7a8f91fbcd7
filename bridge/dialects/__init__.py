"""Policy as people write it, turned into the model: our kinds, annotations."""
