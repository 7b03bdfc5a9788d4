{#-
    Lock the tally's own row until commit and note which batches this run takes in: the tally and its note change in one
    transaction, so a killed run leaves both as they were, and of two runs at once the second finds nothing left to do.

    A tally that is built anew keeps the drain from committing meanwhile (its row, for share), so that what is not in the
    feed any more is in a batch that it notes as taken in.
-#}
{% macro begin_tally() -%}
    {%- set progress = source('progress', 'tally_progress') -%}
    {%- set timezone = var("report_timezone") -%}
    do $$
    declare
        last_batch bigint;
    begin
        {% if is_built_anew() -%}
        select applied_to into strict last_batch from {{ progress }} where name = 'drained_changes' for share;
        insert into {{ progress }} (name, applied_from, applied_to, report_timezone)
        values ('{{ this.identifier }}', last_batch, last_batch, '{{ timezone }}')
        on conflict (name) do update
        set applied_from = last_batch, applied_to = last_batch, report_timezone = excluded.report_timezone;
        {%- else -%}
        update {{ progress }}
        set
            applied_from = applied_to,
            -- Not back: while this waited for the row, another run may have counted a batch that was not there before.
            applied_to = greatest(applied_to, (select applied_to from {{ progress }} where name = 'drained_changes'))
        where name = '{{ this.identifier }}' and report_timezone = '{{ timezone }}';
        if not found then
            raise exception '{{ this }} was not counted in time zone {{ timezone }}: run `dbt run --full-refresh`';
        end if;
        {%- endif %}
    end
    $$
{%- endmacro %}
