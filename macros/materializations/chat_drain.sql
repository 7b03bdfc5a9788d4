{#- Fills its table by chat_rollups.drain, which empties the feed. The model's own SQL is not run. -#}
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
