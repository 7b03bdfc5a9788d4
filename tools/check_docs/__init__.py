"""Is what the Markdown pages say still so? Links, anchors, files, code examples and commands, without the network.

markdown-it-py reads the pages; Python, sqlfluff, `sh -n` and the parsers of the data formats read the examples.
Existing link checkers do not know the commands, make targets and names of a project, which change more than links.
"""
