{#- Forget the batches that every tally there is has taken in; one that is built later counts the log itself. -#}
{% macro prune_batches() -%}
    delete from {{ this }}
    where batch_id <= (
        select min(applied_to) from {{ source('progress', 'tally_progress') }}
        where name != '{{ this.identifier }}'
    )
{%- endmacro %}
