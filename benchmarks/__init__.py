"""Measures what the project costs, in turns with what one would use instead."""
