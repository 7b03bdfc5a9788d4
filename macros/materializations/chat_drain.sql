{% materialization chat_drain, adapter="postgres" %}
    {%- set function_call -%}
        chat_rollups.drain(
            columns => {{ text_array(model.columns) }},
            target_schema => {{ text_literal(target.schema) }},
            last_day => {{ last_day_that_counts() }}
        )
    {%- endset -%}
    {{- return(call_run_function(function_call)) -}}
{% endmaterialization %}
