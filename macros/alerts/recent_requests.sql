{#- Reads the log, because a report has no hours. -#}
{% macro recent_requests() -%}
    select
        error_type,
        ttfb_ms
    from {{ source("chat", "chat_telemetry_log") }}
    where
        created_at > now() - {{ alert_bound("alert_window_hours") }} * interval '1 hour'
        and created_at <= now()
{%- endmacro %}
