{#- The counts of all periods are columns until the end, so that one sort is enough for all periods. -#}
{% macro measure_periods(counts, keys, fractions) -%}
    {%- set keys = keys | join(", ") -%}
    select
        measured.period,
        {{ keys }},
        measured.request_count,
        measured.avg_ms,
        {% for name in fractions %}measured.{{ name }}, {% endfor %}
        measured.max_ms
    from (
        select
            {{ keys }}
            {%- for period in report_periods() %},
            sum({{ period }})::bigint as {{ period }}_count,
            sum(duration_ms::bigint * {{ period }})::double precision
                / nullif(sum({{ period }}), 0)::double precision as {{ period }}_avg_ms,
            {%- for name, fraction in fractions.items() %}
            {{ percentile(fraction, period ~ "_up_to", period ~ "_total") }} as {{ period }}_{{ name }},
            {%- endfor %}
            max(duration_ms) filter (where {{ period }} > 0) as {{ period }}_max_ms
            {%- endfor %}
        from (
            select
                *
                {%- for period in report_periods() %},
                (sum({{ period }}) over up_to_here)::bigint as {{ period }}_up_to,
                (sum({{ period }}) over all_of_key)::bigint as {{ period }}_total
                {%- endfor %}
            from {{ counts }}
            window
                all_of_key as (partition by {{ keys }}),
                up_to_here as (partition by {{ keys }} order by duration_ms)
        ) as ranked
        group by {{ keys }}
    ) as by_key
    cross join lateral (
        values
        {%- for period in report_periods() %}
        (
            '{{ period }}', {{ period }}_count, {{ period }}_avg_ms,
            {% for name in fractions %}{{ period }}_{{ name }}, {% endfor %}
            {{ period }}_max_ms
        ){% if not loop.last %},{% endif %}
        {%- endfor %}
    ) as measured (period, request_count, avg_ms, {% for name in fractions %}{{ name }}, {% endfor %}max_ms)
    where measured.request_count > 0
{%- endmacro %}
