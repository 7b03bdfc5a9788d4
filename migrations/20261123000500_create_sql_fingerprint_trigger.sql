-- The database computes sql_fingerprint, so that no database client can choose it or leave it out. The collation "C"
-- makes it the same in every database. Case and white space are those of ASCII, as in the names and tokens of SQL.

set lock_timeout = '5s';

create or replace function public.compute_sql_fingerprint()
returns trigger
language plpgsql
set search_path = ''
as $$
declare
    folded text collate "C" := new.generated_sql;
    white_space text;
begin
    -- Plain replacements, because a regular expression costs four times as much.
    -- E'\v' would be the letter v in PostgreSQL 16.
    foreach white_space in array array[E'\n', E'\t', E'\r', E'\f', E'\x0b'] loop
        folded := pg_catalog.replace(folded, white_space, ' ');
    end loop;
    while pg_catalog.strpos(folded, '  ') > 0 loop
        folded := pg_catalog.replace(folded, '  ', ' ');
    end loop;
    new.sql_fingerprint := pg_catalog.md5(pg_catalog.lower(folded));
    return new;
end
$$;

comment on function public.compute_sql_fingerprint() is
'Trigger function: sets sql_fingerprint to the md5 of generated_sql in lower case (ASCII letters) with each run of white space replaced by one space, or to null without SQL.';

revoke all on function public.compute_sql_fingerprint() from public;

create or replace trigger trg_compute_sql_fingerprint
before insert or update of generated_sql, sql_fingerprint on public.chat_telemetry_log
for each row execute function public.compute_sql_fingerprint();

-- Of the rows that are older than the trigger, only those with a wrong fingerprint are written.
update public.chat_telemetry_log
set generated_sql = generated_sql
where
    sql_fingerprint is distinct from
    pg_catalog.md5(pg_catalog.lower(pg_catalog.regexp_replace(generated_sql collate "C", '[[:space:]]+', ' ', 'g')));
