-- The database computes sql_fingerprint, so that no database client can choose it or leave it out. The collation "C"
-- makes it the same in every database. Case and white space are those of ASCII, as in the names and tokens of SQL.

set local lock_timeout = '5s';

create or replace function public.compute_sql_fingerprint()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
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

call chat_rollups.make_private('function public.compute_sql_fingerprint()');

create or replace trigger trg_compute_sql_fingerprint
before insert or update of generated_sql, sql_fingerprint on public.chat_telemetry_log
for each row execute function public.compute_sql_fingerprint();

create or replace function chat_rollups.correct_fingerprints(
    first_id uuid, batch_size integer, out next_id uuid, out corrected bigint
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    with batch as materialized (
        select log_id from public.chat_telemetry_log where log_id >= first_id order by log_id limit batch_size
    ),

    updated as (
        update public.chat_telemetry_log as l
        set generated_sql = l.generated_sql
        from batch as b
        where
            l.log_id = b.log_id
            and l.sql_fingerprint is distinct from pg_catalog.md5(
                pg_catalog.lower(pg_catalog.regexp_replace(l.generated_sql collate "C", '[[:space:]]+', ' ', 'g'))
            )
        returning 1
    )

    select
        (
            select l.log_id from public.chat_telemetry_log as l
            where l.log_id > (select b.log_id from batch as b order by b.log_id desc limit 1)
            order by l.log_id limit 1
        ),
        (select pg_catalog.count(*) from updated)
    into next_id, corrected;
end
$$;

comment on function chat_rollups.correct_fingerprints is
'Corrects wrong fingerprints in a batch of rows, in the order of log_id. Returns the log_id with which the next batch begins, null after the last one.';

call chat_rollups.make_private('function chat_rollups.correct_fingerprints');
