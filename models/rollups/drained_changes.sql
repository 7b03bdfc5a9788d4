-- What changed in the log since the last run? Each run moves what the feed shows into a batch with the next number.
{{ config(materialized="chat_drain") }}
select * from {{ source('chat', 'chat_telemetry_changes') }} -- noqa: AM04
