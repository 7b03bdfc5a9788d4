-- The shape of a query: the query with ? in place of each literal. Queries that differ only in values have one shape.

set lock_timeout = '5s';

create or replace function public.chat_telemetry_sql_shape(query text)
returns text
language sql
immutable
strict
parallel safe
set search_path = ''
set standard_conforming_strings = on
as $$
    with tokens as (
        -- The longest alternative matches: a comment is not a minus, and E'...' is not the name E.
        select
            found.ordinality as position,
            found.groups[1] as token
        from pg_catalog.regexp_matches(
            query,
            '--[^\n]*'                                   -- comment to the end of the line
            || '|/\*(?:[^*]|\*+[^*/])*\*+/'              -- block comment
            || '|[eE]''(?:[^''\\]|\\.|'''')*'''          -- string with backslash escapes
            || '|(?:[bBxXnN]|[uU]&)?''(?:[^'']|'''')*''' -- string
            || '|\$[[:alpha:]_]*\$[^$]*\$[[:alpha:]_]*\$' -- dollar-quoted string
            || '|"(?:[^"]|"")*"'                         -- quoted name
            || '|[[:alpha:]_][[:alnum:]_$]*'             -- name or keyword
            || '|\$[0-9]+'                               -- parameter
            || '|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?' -- number
            || '|\s+|.',
            'g'
        ) with ordinality as found (groups, ordinality)
    ),

    with_placeholders as (
        select
            pg_catalog.string_agg(
                case
                    when token ~ '^(--|/\*|\s)' then ' '
                    when token ~ '^"' then token
                    when token ~ '^([eEbBxXnN]|[uU]&)?''.' or token ~ '^\$.' or token ~ '^\.?[0-9]' then '?'
                    else pg_catalog.lower(token)
                end,
                '' order by position
            ) as query_text
        from tokens
    )

    select
        pg_catalog.btrim(
            pg_catalog.regexp_replace(
                pg_catalog.regexp_replace(query_text, '\s+', ' ', 'g'),
                '\min ?\( ?-? ?\?(?: ?, ?-? ?\?)* ?\)', 'in (?)', 'g'
            ),
            ' ;'
        )
    from with_placeholders
$$;

comment on function public.chat_telemetry_sql_shape(text) is
'The query in lower case with ? in place of each literal and of each list of literals after IN, without comments, with each run of white space replaced by one space.';

revoke all on function public.chat_telemetry_sql_shape(text) from public;

do $$
declare
    role_name name;
begin
    for role_name in
        select rolname from pg_catalog.pg_roles where rolname in ('anon', 'authenticated')
    loop
        execute pg_catalog.format('revoke all on function public.chat_telemetry_sql_shape(text) from %I', role_name);
    end loop;
end
$$;

grant execute on function public.chat_telemetry_sql_shape(text) to telemetry_transformer;
