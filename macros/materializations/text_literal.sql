{#- Dollar quotes, because single quotes depend on standard_conforming_strings. -#}
{% macro text_literal(text) -%}
    $chat_telemetry${{ text }}$chat_telemetry$
{%- endmacro %}
