{#-
    A table in chat_rollups that a migration created. chat_rollups.fill counts into it: the model is a query that reads the
    changes to count from the CTE drained_changes. The keys of the model's `meta`:

    follows: the rollup from which this one is made; without it, the log
    replaces: true if the model returns new values of the counts, not amounts to add
    lists_everything: true if the model returns all rows of the table, each time
-#}
{% materialization chat_rollup, adapter="postgres" %}
    {%- set meta = config.get("meta") or {} -%}
    {%- set price_lists = [] -%}
    {%- for node in model.depends_on.nodes if node.startswith("seed.") -%}
        {%- do price_lists.append(ref(*node.split(".")[1:]).include(database=false) | string) -%}
    {%- endfor -%}
    {%- set function_call -%}
        chat_rollups.fill(
            rollup => 'chat_rollups.{{ this.identifier }}',
            query => {{ text_literal(sql) }},
            columns => {{ text_array(model.columns) }},
            run_by => {{ text_literal(target.schema) }},
            timezone => {{ text_literal(var("report_timezone")) }},
            full_refresh => {{ flags.FULL_REFRESH }},
            follows => {{ text_literal(meta.follows) if meta.follows else "null" }},
            replaces => {{ meta.replaces or false }},
            lists_everything => {{ meta.lists_everything or false }},
            price_lists => {{ text_array(price_lists) }}
        )
    {%- endset -%}
    {{- return(call_run_function(function_call)) -}}
{% endmaterialization %}
