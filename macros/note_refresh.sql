{#- Note that this report was refreshed, in the transaction that refreshed it: what report_freshness shows. -#}
{% macro note_refresh() -%}
    insert into {{ source('progress', 'report_refreshes') }} (report, refreshed_at, newest_request_at)
    values ('{{ this.identifier }}', now(), (select max(created_at) from {{ source('chat', 'chat_telemetry_log') }}))
    on conflict (report) do update
    set refreshed_at = excluded.refreshed_at, newest_request_at = excluded.newest_request_at
{%- endmacro %}
