{#-
    Number the batch. The row stays locked until the drain commits, so batches are numbered in the order in which they
    become visible, and two runs at once drain one after the other.
-#}
{% macro begin_batch() -%}
    do $$
    begin
        update {{ source('progress', 'tally_progress') }}
        set applied_from = applied_to, applied_to = applied_to + 1
        where name = '{{ this.identifier }}';
        if not found then
            raise exception 'tally_progress has no row {{ this.identifier }}: run `chat-telemetry migrate --rollback` and `chat-telemetry migrate`, then `dbt run --full-refresh`';
        end if;
    end
    $$
{%- endmacro %}
