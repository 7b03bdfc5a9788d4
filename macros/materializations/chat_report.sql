{% materialization chat_report, adapter="postgres" %}
    {%- set rollups, descriptions = [], {} -%}
    {%- for node in model.depends_on.nodes if node.startswith("model.") -%}
        {%- do rollups.append(node.split(".") | last) -%}
    {%- endfor -%}
    {%- for column in model.columns.values() -%}
        {%- do descriptions.update({column.name: column.description | trim}) -%}
    {%- endfor -%}
    {%- set settings = {
        "indexes": config.get("indexes", []),
        "description": model.description | trim,
        "columns": descriptions,
        "without_statistics": (config.get("meta") or {}).get("without_statistics", []),
    } -%}
    {%- set readers = (config.get("grants") or {}).get("select", []) -%}
    {%- set function_call -%}
        chat_rollups.make_report(
            report => {{ text_literal(this.identifier) }},
            query => {{ text_literal(sql) }},
            target_schema => {{ text_literal(target.schema) }},
            rollups => {{ text_array(rollups) }},
            readers => {{ text_array([readers] if readers is string else readers) }},
            settings => {{ text_literal(tojson(settings)) }},
            full_refresh => {{ flags.FULL_REFRESH }}
        )
    {%- endset -%}
    {{- return(call_run_function(function_call)) -}}
{% endmaterialization %}
