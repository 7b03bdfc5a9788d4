"""`make dbt-quality` prints what dbt-score, dbt-bouncer and dbt-coverage say about the dbt project."""
