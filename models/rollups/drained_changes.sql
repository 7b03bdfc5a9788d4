-- What changed in the log since the last run? Each run moves the visible changes of the feed here, under the next drain
-- number.
{{ config(materialized="chat_drain") }}
{%- if dbt_version.startswith("2.") -%}
    {#- dbt 2 ignores require-dbt-version. An error in a model stops every command that parses the project. -#}
    {{ exceptions.raise_compiler_error(
        "chat-telemetry runs on dbt 1.11 and 1.12, and this is dbt " ~ dbt_version
        ~ ": install dbt-core 1.12 and dbt-postgres"
    ) }}
{%- endif %}
select * from {{ source('chat', 'chat_telemetry_changes') }} -- noqa: AM04
