-- How many requests without error took each whole number of milliseconds, day by day, step by step, model by model?
with

changes as (
    {{ changes_to_count() }}
)

select
    changes.day,
    measured.step,
    changes.sql_model,
    changes.response_model,
    measured.duration_ms,
    sum(changes.sign)::bigint as request_count
from changes
cross join
    lateral (
        values
        ('nl_to_sql', changes.nl_to_sql_duration_ms),
        ('sql_execution', changes.sql_execution_duration_ms),
        ('response_generation', changes.response_generation_duration_ms),
        ('ttfb', changes.ttfb_ms)
    ) as measured (step, duration_ms)
where changes.error_type = '' and measured.duration_ms is not null
group by changes.day, measured.step, changes.sql_model, changes.response_model, measured.duration_ms
{{ having_any('changes.sign') }}
{{ in_order_of_days() }}
