"""Measures how strong the tests are: changes one thing in the code at a time and sees whether a test fails.

No existing tool covers this project. mutmut 3 mutates the bodies of undecorated functions only, so no constant,
property or context manager, and first runs every test in one process. cosmic-ray knows one test command per session and
writes into the tree that it is started in. Neither takes a repeatable sample, and neither knows SQL, which is half of
this project. One tool gives both languages the same sampling, fitting tests, time limits and list of equivalents.
"""
