"""The bundle of bi/superset for Apache Superset: how it is written, and the proof that its charts show what psql shows.

`python -m tools.superset.bundle` writes the bundle. Its columns have the descriptions of models/reports/*.yml.
`python -m tools.superset` imports it into a real Superset and compares the data of each chart with SQL.
"""
