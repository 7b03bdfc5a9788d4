{#-
    Rows of the log's columns from several places as one, each with its sign and its day; a missing name is ''.

    parts: pairs of an expression for the sign and what follows `from`
-#}
{% macro signed_rows(parts) -%}
    {%- set columns = [
        "user_id", "is_off_topic", "created_at",
        "nl_to_sql_duration_ms", "sql_execution_duration_ms", "response_generation_duration_ms", "ttfb_ms",
        "sql_input_tokens", "sql_cached_tokens", "sql_output_tokens",
        "response_input_tokens", "response_cached_tokens", "response_output_tokens",
        "error_type", "failed_step", "sql_model", "response_model",
    ] | join(", ") -%}
    select
        sign,
        {{ day_of("created_at") }} as day,
        user_id,
        is_off_topic,
        coalesce(error_type, '') as error_type,
        coalesce(failed_step, '') as failed_step,
        coalesce(sql_model, '') as sql_model,
        coalesce(response_model, '') as response_model,
        nl_to_sql_duration_ms,
        sql_execution_duration_ms,
        response_generation_duration_ms,
        ttfb_ms,
        sql_input_tokens,
        sql_cached_tokens,
        sql_output_tokens,
        response_input_tokens,
        response_cached_tokens,
        response_output_tokens
    from (
        {%- for sign, place in parts %}
        select {{ sign }} as sign, {{ columns }} from {{ place }}
        {%- if not loop.last %}
        union all
        {%- endif %}
        {%- endfor %}
    ) as signed_rows
{%- endmacro %}
