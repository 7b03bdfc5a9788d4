-- Corrects the fingerprints of rows that are older than the trigger. In a transaction of its own: the lock with which a
-- trigger is created stops chat requests until its transaction ends. `chat-telemetry migrate` does this in many short
-- transactions instead, and shows its progress.

set local lock_timeout = '5s';

do $$
declare
    next_id uuid := '00000000-0000-0000-0000-000000000000';
begin
    while next_id is not null loop
        select batch.next_id into next_id from chat_rollups.correct_fingerprints(next_id, 10000) as batch;
    end loop;
end
$$;
