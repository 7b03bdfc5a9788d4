"""Checks that the Markdown pages match the project: links, anchors, files, code examples, commands. No network is used.

markdown-it-py reads the pages; Python, sqlfluff, `sh -n` and the parsers of the data formats read the examples.
Existing link checkers do not know the commands, make targets and names of a project, which change more than links.
"""
