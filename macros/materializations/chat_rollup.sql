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
            target_schema => {{ text_literal(target.schema) }},
            timezone => {{ text_literal(var("report_timezone")) }},
            full_refresh => {{ flags.FULL_REFRESH }},
            made_from => {{ text_literal(meta.made_from) if meta.made_from else "null" }},
            returns_new_values => {{ meta.returns_new_values or false }},
            returns_all_rows => {{ meta.returns_all_rows or false }},
            price_lists => {{ text_array(price_lists) }}
        )
    {%- endset -%}
    {{- return(call_run_function(function_call)) -}}
{% endmaterialization %}
