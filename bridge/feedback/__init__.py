"""Feedback: what became of the objects that people wrote, told on those objects: status, annotations and Events."""
