{#- Dollar quotes read the same in every database; quotes with backslashes do not. -#}
{% macro text_literal(text) -%}
    $chat_telemetry${{ text }}$chat_telemetry$
{%- endmacro %}
