{#-
    The signed rows that this run of a tally takes in.

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
    {%- set batches -%}
        {{ drained }} as drained
        inner join {{ progress }} as progress
            on drained.batch_id > progress.applied_from and drained.batch_id <= progress.applied_to
        where progress.name = '{{ this.identifier }}'
    {%- endset -%}
    {{ signed_rows([("1", log), ("-sign", feed)] if is_built_anew() else [("sign", batches)]) }}
{%- endmacro %}
