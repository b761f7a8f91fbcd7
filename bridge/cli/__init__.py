"""The command line: reads settings, composes the loops, prints."""
