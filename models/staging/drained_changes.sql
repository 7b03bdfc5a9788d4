-- What changed in the log since the last run? Each run moves what the feed shows into a batch with the next number.
with

drained as (
    delete from {{ source('chat', 'chat_telemetry_changes') }}
    returning *
)

-- A change whose transaction is still open is not shown, stays in the feed, and falls to a later batch.
select
    (
        select progress.applied_to from {{ source('progress', 'tally_progress') }} as progress
        where progress.name = '{{ this.identifier }}'
    ) as batch_id,
    drained.*
from drained
