{#- Whether the column `day` is one of `days`, as by days_to_reconcile(). -#}
{% macro on_days(days) -%}
    {%- if days is none -%}
        true
    {%- else -%}
        day = any(array[{% for day in days %}'{{ day }}'{% if not loop.last %}, {% endif %}{% endfor %}]::date[])
    {%- endif -%}
{%- endmacro %}
