{#- Stop before anything is built when a selected report needs a price table that is neither there nor loaded now. -#}
{% macro assert_prices_are_seeded() -%}
    {%- if execute and flags.WHICH in ("run", "build") -%}
        {%- set readers = [] -%}
        {%- for node in graph.nodes.values() if node.unique_id in selected_resources -%}
            {%- if "model.chat_telemetry.price_periods" in node.depends_on.nodes and node.resource_type == "model" -%}
                {%- do readers.append(node.name) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- for seed in graph.nodes.values() if readers and seed.resource_type == "seed" -%}
            {%- set is_loaded_now = flags.WHICH == "build" and seed.unique_id in selected_resources -%}
            {%- set price_table = api.Relation.create(seed.database, seed.schema, seed.alias) -%}
            {%- if not is_loaded_now and not load_relation(price_table) -%}
                {%- do exceptions.raise_compiler_error(
                    "There is no price table " ~ seed.schema ~ "." ~ seed.alias ~ " for " ~ readers | sort | join(", ")
                    ~ ": run dbt seed."
                ) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
