-- Was a report not refreshed, nor found to be up to date, for more than this number of hours?
{{ config(tags=["alert"], enabled=var("alert_report_age_hours") is not none) }}

with

reports as (
    select
        report as subject,
        refreshed_at
    from {{ source("rollups", "report_state") }}
    where to_regclass(format('chat_reports.%I', report)) is not null
),

ages as (
    select
        subject,
        round(extract(epoch from now() - refreshed_at) / 3600, 2) as value
    from reports
    union all
    select
        'every report' as subject,
        null as value
    where not exists (select from reports)
)

{{ alert_rows("ages", "alert_report_age_hours") }}
