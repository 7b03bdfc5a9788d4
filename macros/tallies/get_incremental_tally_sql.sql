{#-
    The incremental strategy `tally`: add what the batches bring to the counts that are there, and drop what reaches 0.

    A tally that is built anew (--full-refresh) is mended in place instead: keys that are gone are deleted, counts that
    differ are written. Never TRUNCATE: a refresh that waited for it would publish an empty report. Never all deleted and
    inserted: that doubles the table.
-#}
{% macro get_incremental_tally_sql(arguments) -%}
    {%- set tally, counted = arguments["target_relation"], arguments["temp_relation"] -%}
    {%- set grain = arguments["unique_key"] -%}
    {%- set columns = arguments["dest_columns"] | map(attribute="name") | list -%}
    {%- set counts = columns | reject("in", grain) | list -%}
    {%- set same_key -%}
        {%- for column in grain %}tally.{{ column }} = counted.{{ column }}{% if not loop.last %} and {% endif %}{% endfor -%}
    {%- endset -%}
    {%- set anew = is_built_anew() -%}

    {% if anew -%}
    delete from {{ tally }} as tally
    where not exists (select from {{ counted }} as counted where {{ same_key }});
    {%- endif %}

    insert into {{ tally }} as tally ({{ columns | join(", ") }})
    select {{ columns | join(", ") }} from {{ counted }}
    on conflict ({{ grain | join(", ") }}) do update
    set
        {%- for count in counts %}
        {{ count }} = {% if not anew %}tally.{{ count }} + {% endif %}excluded.{{ count }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    {%- if anew %}
    where (tally.{{ counts | join(", tally.") }}) is distinct from (excluded.{{ counts | join(", excluded.") }});
    {%- else %};
    delete from {{ tally }} as tally
    using {{ counted }} as counted
    where {{ same_key }} and tally.request_count = 0;
    {%- endif %}
{%- endmacro %}
