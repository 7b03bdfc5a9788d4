-- Four indexes of the log in addition to its key: by time, by user, by error_type, by SQL pattern.

set local lock_timeout = '5s';

create index if not exists idx_chat_telemetry_created_at
on public.chat_telemetry_log (created_at desc);

create index if not exists idx_chat_telemetry_user_id
on public.chat_telemetry_log (user_id, created_at desc);

create index if not exists idx_chat_telemetry_error
on public.chat_telemetry_log (error_type)
where error_type is not null;

create index if not exists idx_chat_telemetry_fingerprint
on public.chat_telemetry_log (sql_fingerprint)
where sql_fingerprint is not null;

-- `if not exists` accepts any relation of that name, also an index that another session failed to build.
do $$
declare
    wrong text;
begin
    select pg_catalog.string_agg(expected.name, ', ') into wrong
    from (
        values
        ('idx_chat_telemetry_created_at', 'created_at'), ('idx_chat_telemetry_user_id', 'user_id'),
        ('idx_chat_telemetry_error', 'error_type'), ('idx_chat_telemetry_fingerprint', 'sql_fingerprint')
    ) as expected (name, first_column)
    where not exists (
        select from pg_catalog.pg_index as i
        inner join pg_catalog.pg_attribute as a on i.indrelid = a.attrelid and i.indkey[0] = a.attnum
        where
            i.indexrelid = pg_catalog.to_regclass('public.' || expected.name)
            and i.indrelid = 'public.chat_telemetry_log'::regclass and i.indisvalid
            and a.attname = expected.first_column
    );
    if wrong is not null then
        raise exception 'not a valid index of public.chat_telemetry_log, but its name is used: %', wrong
        using hint = 'Drop or rename it, then run the migrations again.';
    end if;
end
$$;
