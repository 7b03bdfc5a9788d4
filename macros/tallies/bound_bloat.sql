{#-
    Room in each page for the next version of a row, and vacuum after few dead rows: a run changes rows all over a tally,
    and the default, a fifth of the table, comes too seldom.
-#}
{% macro bound_bloat() -%}
    {%- if is_built_anew() -%}
    alter table {{ this }} set (
        fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000
    )
    {%- endif -%}
{%- endmacro %}
