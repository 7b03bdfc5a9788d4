{#- Stop before anything is built when a selected report needs a seed that is not there and this run does not load. -#}
{% macro assert_prices_are_seeded() -%}
    {%- if execute and flags.WHICH in ("run", "build") -%}
        {%- set seeds = graph.nodes.values() | selectattr("resource_type", "equalto", "seed") -%}
        {%- for seed in seeds if flags.WHICH == "run" or seed.unique_id not in selected_resources -%}
            {%- set readers = [] -%}
            {%- for id in selected_resources if "model.chat_telemetry.price_periods" in graph.nodes.get(id, {}).get("depends_on", {}).get("nodes", []) -%}
                {%- do readers.append(graph.nodes[id].name) -%}
            {%- endfor -%}
            {%- if readers and not load_relation(api.Relation.create(database=seed.database, schema=seed.schema, identifier=seed.alias)) -%}
                {%- do exceptions.raise_compiler_error(
                    "The price table " ~ seed.schema ~ "." ~ seed.alias ~ " that " ~ readers | sort | join(", ") ~ " need is missing: run dbt seed."
                ) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
