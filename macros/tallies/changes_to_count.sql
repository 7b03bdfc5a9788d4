{#-
    The signed rows that this run of a tally takes in, with their day; a missing name is ''.

    Usually the batches that the tally has not taken in yet. When it is built anew, the state that those batches lead to:
    the log, less what the feed still holds and a later batch will bring. One statement reads both, so no row that is
    committed in between is missed or counted twice.
-#}
{% macro changes_to_count() -%}
    {#- Outside any condition, so that dbt knows the dependencies whichever branch it renders. -#}
    {%- set log = source("chat", "chat_telemetry_log") -%}
    {%- set feed = source("chat", "chat_telemetry_changes") -%}
    {%- set drained = ref("drained_changes") -%}
    {%- set progress = source("progress", "tally_progress") -%}
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
        {%- if is_built_anew() %}
        select 1 as sign, {{ columns }} from {{ log }}
        union all
        select -sign, {{ columns }} from {{ feed }}
        {%- else %}
        select drained.sign, {{ columns }}
        from {{ drained }} as drained
        inner join {{ progress }} as progress
            on drained.batch_id > progress.applied_from and drained.batch_id <= progress.applied_to
        where progress.name = '{{ this.identifier }}'
        {%- endif %}
    ) as signed_rows
{%- endmacro %}
