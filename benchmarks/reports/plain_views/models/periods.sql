-- Which days does a rolling period cover?
{%- for period, (first, last) in report_periods().items() %}
select
    '{{ period }}' as period,
    {{ last_day_that_counts() }} - {{ first }} as first_day,
    {{ last_day_that_counts() }} - {{ last }} as last_day
{%- if not loop.last %}
union all
{%- endif %}
{%- endfor %}
