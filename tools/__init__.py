"""Tools for development. They are not part of the installed package."""
