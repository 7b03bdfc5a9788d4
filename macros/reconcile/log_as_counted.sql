{#-
    The signed rows that a tally should have counted by now: the log, less what is on its way in the feed and in batches that
    the tally has not taken in yet. To be read in one statement with the tally itself, so that it is right while writers write
    and while dbt runs.

    tally: the model's name
    days: as by days_to_reconcile()
-#}
{% macro log_as_counted(tally, days) -%}
    {%- set log = source("chat", "chat_telemetry_log") -%}
    {%- set feed = source("chat", "chat_telemetry_changes") -%}
    {%- set drained = ref("drained_changes") -%}
    {%- set progress = source("progress", "tally_progress") -%}
    {%- set chosen -%}
        {%- if days is none -%}
            true
        {%- else -%}
            (false
            {%- for day in days %}
            or created_at >= {{ start_of_day("date '" ~ day ~ "'") }} and created_at < {{ start_of_day("date '" ~ day ~ "' + 1") }}
            {%- endfor -%}
            )
        {%- endif -%}
    {%- endset -%}
    {%- set batches -%}
        {{ drained }} as drained
        inner join {{ progress }} as progress on drained.batch_id > progress.applied_to
        where progress.name = '{{ tally }}' and {{ chosen }}
    {%- endset -%}
    {{ signed_rows([("1", log ~ " where " ~ chosen), ("-sign", feed ~ " where " ~ chosen), ("-sign", batches)]) }}
{%- endmacro %}
