-- The database computes sql_fingerprint, so that no database client can choose it or leave it out. [[:space:]] and not
-- \s, because a backslash means something else if standard_conforming_strings is off.

set lock_timeout = '5s';

create or replace function public.compute_sql_fingerprint()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
    new.sql_fingerprint := pg_catalog.md5(pg_catalog.lower(
        pg_catalog.regexp_replace(new.generated_sql, '[[:space:]]+', ' ', 'g')
    ));
    return new;
end
$$;

comment on function public.compute_sql_fingerprint() is
'Trigger function: sets sql_fingerprint to the md5 of generated_sql in lower case with each run of white space replaced by one space, or to null without SQL.';

revoke all on function public.compute_sql_fingerprint() from public;

create or replace trigger trg_compute_sql_fingerprint
before insert or update of generated_sql, sql_fingerprint on public.chat_telemetry_log
for each row execute function public.compute_sql_fingerprint();

-- Of the rows that are older than the trigger, only those with a wrong fingerprint are written.
update public.chat_telemetry_log
set generated_sql = generated_sql
where
    sql_fingerprint is distinct from
    pg_catalog.md5(pg_catalog.lower(pg_catalog.regexp_replace(generated_sql, '[[:space:]]+', ' ', 'g')));
