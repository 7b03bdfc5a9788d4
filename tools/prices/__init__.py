"""Writes the price seeds from PyPI's `genai-prices`, and compares them with the list in PyPI's `litellm`.

genai-prices is the source of the seeds because it knows the day of each change. It can be late, so a second list is
read, out of a wheel that is never installed. Each disagreement of the two is decided in seeds/decisions.toml.
"""
