-- The reports: how dbt makes and refreshes them, and how fresh they are.

set lock_timeout = '5s';

create table if not exists chat_rollups.report_state (
    report text not null,
    query_md5 text,
    settings_md5 text,
    made_from jsonb,
    refreshed_at timestamptz,
    as_of date,
    report_timezone text,
    newest_request_at timestamptz,
    future_request_count bigint,
    left_out_count bigint,
    constraint report_state_pkey primary key (report)
);

comment on table chat_rollups.report_state is
'One row per report: what it was made from, so that a run can leave it alone, and what report_freshness shows.';
comment on column chat_rollups.report_state.query_md5 is
'Of its query.';
comment on column chat_rollups.report_state.settings_md5 is
'Of its indexes, comments and statistics.';
comment on column chat_rollups.report_state.made_from is
'The revision and the time zone of each rollup in it.';

-- Security definer, so that readers need no right to the feed.
create or replace function chat_rollups.pending_changes()
returns bigint
language sql
stable
security definer
set search_path = ''
as 'select pg_catalog.count(*) from public.chat_telemetry_changes';

comment on function chat_rollups.pending_changes() is
'How many changes wait in the feed.';

create or replace function chat_rollups.left_out_count(made_from text[])
returns bigint
language sql
stable
set search_path = ''
as $$
    select
        (
            select coalesce(pg_catalog.sum(request_count), 0)
            from chat_rollups.daily_requests where day < '2000-01-01'
        )::bigint
        + (
            select coalesce(pg_catalog.sum(last_30_days), 0)
            from chat_rollups.window_durations
            where duration_ms < 0 and 'window_durations' = any(made_from)
        )
$$;

comment on function chat_rollups.left_out_count(text[]) is
'Requests from before 2000 and, for a report on durations, negative durations of the last 30 days: no report counts them.';

create or replace function chat_rollups.state_of(rollups text[])
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
    uncounted text;
    state jsonb;
begin
    select
        pg_catalog.string_agg(name, ', ' order by name) filter (where drain_number is null),
        pg_catalog.jsonb_object_agg(name, pg_catalog.jsonb_build_array(revision, report_timezone))
    into uncounted, state
    from chat_rollups.progress
    where name = any(rollups);
    if uncounted is not null then
        raise exception '% not counted yet: run dbt without --select', uncounted;
    end if;

    select coalesce(state, '{}') || pg_catalog.jsonb_build_object('as_of', as_of) into state
    from chat_rollups.progress
    where name = 'drained_changes';
    return state;
end
$$;

comment on function chat_rollups.state_of(text[]) is
'The revisions of rollups and the last day: a report that is made from them stays right while these stay the same.';

create or replace function chat_rollups.key_of(report regclass)
returns regclass
language sql
stable
set search_path = ''
as $$
    select indexrelid
    from pg_catalog.pg_index
    where indrelid = report and indisunique and indisvalid and indpred is null and indexprs is null
    limit 1
$$;

comment on function chat_rollups.key_of(regclass) is
'The unique index that a concurrent refresh of the report needs; null if it has none.';

create or replace function chat_rollups.refresh_report(report regclass)
returns void
language plpgsql
set search_path = ''
as $$
begin
    -- Beside its readers, unless nobody can read it yet (after a restore) or it has no key.
    if chat_rollups.key_of(report) is not null
        and (select relispopulated from pg_catalog.pg_class where oid = report)
    then
        begin
            execute pg_catalog.format('refresh materialized view concurrently %s', report);
            return;
        exception when program_limit_exceeded then
            -- A name is too long for the key. While it is there, readers wait for each refresh.
            execute pg_catalog.format('drop index %s', chat_rollups.key_of(report));
        end;
    end if;
    execute pg_catalog.format('refresh materialized view %s', report);
end
$$;

comment on function chat_rollups.refresh_report(regclass) is
'Makes the rows of a report again, concurrently if possible.';

create or replace function chat_rollups.apply_settings(report regclass, settings jsonb)
returns void
language plpgsql
set search_path = ''
as $$
declare
    old_indexes regclass[];
    old_index regclass;
    wanted jsonb;
    column_name text;
    description text;
begin
    select pg_catalog.array_agg(indexrelid::regclass) into old_indexes
    from pg_catalog.pg_index where indrelid = report;
    for wanted in select * from pg_catalog.jsonb_array_elements(settings -> 'indexes') loop
        begin
            execute pg_catalog.format(
                'create %s index on %s (%s)',
                case when (wanted ->> 'unique')::boolean then 'unique' end,
                report,
                (
                    select pg_catalog.string_agg(pg_catalog.quote_ident(name), ', ')
                    from pg_catalog.jsonb_array_elements_text(wanted -> 'columns') as c (name)
                )
            );
        exception when program_limit_exceeded then
            raise notice '% has a name that is too long for an index', report;
        end;
    end loop;
    -- After the new ones are there, so that the report never lacks its key.
    foreach old_index in array coalesce(old_indexes, '{}') loop
        execute pg_catalog.format('drop index %s', old_index);
    end loop;

    execute pg_catalog.format('comment on materialized view %s is %L', report, settings ->> 'description');
    for column_name, description in select * from pg_catalog.jsonb_each_text(settings -> 'columns') loop
        execute pg_catalog.format('comment on column %s.%I is %L', report, column_name, description);
    end loop;
    for column_name in select * from pg_catalog.jsonb_array_elements_text(settings -> 'without_statistics') loop
        execute pg_catalog.format('alter materialized view %s alter column %I set statistics 0', report, column_name);
    end loop;
end
$$;

comment on function chat_rollups.apply_settings(regclass, jsonb) is
'Gives a report its indexes and comments; columns that hold ids or texts of users get no statistics.';

create or replace function chat_rollups.exchange_report(report regclass, new_report regclass)
returns void
language plpgsql
set search_path = ''
as $$
declare
    report_name constant text := (select relname from pg_catalog.pg_class where oid = report);
    old_timeout constant text := pg_catalog.current_setting('lock_timeout');
    dependents text;
begin
    select pg_catalog.string_agg(distinct rule.ev_class::regclass::text, ', ') into dependents
    from pg_catalog.pg_depend as d
    inner join pg_catalog.pg_rewrite as rule on d.objid = rule.oid and d.classid = 'pg_catalog.pg_rewrite'::regclass
    where d.refobjid = report and rule.ev_class <> d.refobjid;
    if dependents is not null then
        raise exception 'the definition of % changed, and % is built on it', report, dependents
        using hint = 'Drop what is built on it, run dbt, create it again.';
    end if;

    -- A reader may hold the old one for long. The lock is tried for moments, so that other readers do not queue behind
    -- it.
    for attempt in 1..600 loop
        begin
            perform pg_catalog.set_config('lock_timeout', '50ms', true);
            execute pg_catalog.format('drop materialized view %s', report);
            exit;
        exception when lock_not_available then
            if attempt = 600 then
                raise exception '% is being read without a pause: run dbt again later', report;
            end if;
            perform pg_catalog.pg_sleep(0.1);
        end;
    end loop;
    perform pg_catalog.set_config('lock_timeout', old_timeout, true);
    execute pg_catalog.format('alter materialized view %s rename to %I', new_report, report_name);
end
$$;

comment on function chat_rollups.exchange_report(regclass, regclass) is
'Replaces a report by a new one. Refuses if somebody built on the old one.';

create or replace function chat_rollups.grant_report(report regclass, readers text[])
returns void
language plpgsql
set search_path = ''
as $$
declare
    report_schema constant regnamespace := (select relnamespace from pg_catalog.pg_class where oid = report);
    reader text;
begin
    for reader in
        select distinct coalesce(pg_catalog.quote_ident(r.rolname), 'public')
        from pg_catalog.pg_class as c
        cross join pg_catalog.aclexplode(c.relacl) as granted
        left join pg_catalog.pg_roles as r on granted.grantee = r.oid
        where
            c.oid = report and granted.grantee <> c.relowner
            and not (granted.privilege_type = 'SELECT' and coalesce(r.rolname, 'public') = any(readers))
    loop
        execute pg_catalog.format('revoke all on %s from %s', report, reader);
    end loop;

    foreach reader in array readers loop
        if not pg_catalog.has_schema_privilege(reader, report_schema::oid, 'usage') then
            -- Two sessions that grant on the same schema at once would fail: tuple concurrently updated.
            perform pg_catalog.pg_advisory_xact_lock(
                'pg_catalog.pg_namespace'::regclass::integer, report_schema::oid::integer
            );
            execute pg_catalog.format('grant usage on schema %s to %I', report_schema, reader);
        end if;
        if not pg_catalog.has_table_privilege(reader, report, 'select') then
            execute pg_catalog.format('grant select on %s to %I', report, reader);
        end if;
    end loop;
end
$$;

comment on function chat_rollups.grant_report(regclass, text[]) is
'Lets the readers select from a report and enter its schema, and takes the report away from every other role.';

create or replace function chat_rollups.make_report(
    report text,
    query text,
    run_by text,
    rollups text[],
    readers text[],
    settings jsonb,
    full_refresh boolean
)
returns text
language plpgsql
set search_path = ''
set standard_conforming_strings = on
set quote_all_identifiers = off  -- a concurrent refresh fails with it
set jit = off
as $$
declare
    view_name constant text := pg_catalog.format('chat_reports.%I', report);
    new_name constant text := pg_catalog.format('chat_reports.%I', report || '__new');
    new_query_md5 constant text := chat_rollups.query_md5(query);
    new_settings_md5 constant text := pg_catalog.md5(settings::text);
    known chat_rollups.report_state;
    state jsonb;
    kind "char";
    is_filled boolean;
    is_other boolean;
    outcome text;
begin
    insert into chat_rollups.report_state (report) values (make_report.report) on conflict do nothing;
    select * into strict known from chat_rollups.report_state as s where s.report = make_report.report for update;
    perform chat_rollups.assert_owner(run_by);
    state := chat_rollups.state_of(rollups);
    perform chat_rollups.forget_counted_changes();

    select relkind, relispopulated into kind, is_filled
    from pg_catalog.pg_class where oid = pg_catalog.to_regclass(view_name);
    if kind <> 'm' then
        raise exception '% is no materialized view of this project: move it away, then run dbt again', view_name;
    end if;

    if is_filled and known.query_md5 = new_query_md5 and known.settings_md5 = new_settings_md5
        and known.made_from = state and not full_refresh
    then
        outcome := 'nothing new';
    elsif kind is not null and known.query_md5 = new_query_md5 and known.settings_md5 = new_settings_md5 then
        perform chat_rollups.refresh_report(view_name);
        if chat_rollups.key_of(view_name) is null then
            perform chat_rollups.apply_settings(view_name, settings);
        end if;
        outcome := 'refreshed';
    else
        execute pg_catalog.format(E'create materialized view %s as\n%s\nwith no data', new_name, query);
        if pg_catalog.pg_has_role('telemetry_transformer', 'usage') then
            -- Not of the member that made it: every other member refreshes and replaces it.
            execute pg_catalog.format('alter materialized view %s owner to telemetry_transformer', new_name);
        end if;
        is_other := kind is null or pg_catalog.pg_get_viewdef(view_name::regclass)
            <> pg_catalog.pg_get_viewdef(new_name::regclass);
        if is_other then
            perform chat_rollups.refresh_report(new_name);
            perform chat_rollups.apply_settings(new_name, settings);
            perform chat_rollups.grant_report(new_name, readers);
            if kind is null then
                execute pg_catalog.format('alter materialized view %s rename to %I', new_name, report);
            else
                perform chat_rollups.exchange_report(view_name, new_name);
            end if;
            outcome := case when kind is null then 'created' else 'replaced' end;
        else
            -- What differs is an index, a comment or white space.
            execute pg_catalog.format('drop materialized view %s', new_name);
            if known.settings_md5 is distinct from new_settings_md5 then
                perform chat_rollups.apply_settings(view_name, settings);
            end if;
            perform chat_rollups.refresh_report(view_name);
            outcome := 'refreshed';
        end if;
    end if;
    -- Grants outlast a refresh, so they are compared each time.
    perform chat_rollups.grant_report(view_name, readers);

    update chat_rollups.report_state as s
    set
        query_md5 = new_query_md5,
        settings_md5 = new_settings_md5,
        made_from = state,
        refreshed_at = pg_catalog.now(),
        as_of = p.as_of,
        report_timezone = (
            select pg_catalog.max(r.report_timezone) from chat_rollups.progress as r where r.name = 'daily_requests'
        ),
        newest_request_at = (
            select pg_catalog.max(created_at) from public.chat_telemetry_log where created_at <= pg_catalog.now()
        ),
        future_request_count = (
            select pg_catalog.count(*) from public.chat_telemetry_log where created_at > pg_catalog.now()
        ),
        left_out_count = chat_rollups.left_out_count(rollups)
    from chat_rollups.progress as p
    where s.report = make_report.report and p.name = 'drained_changes';
    return outcome;
end
$$;

comment on function chat_rollups.make_report(text, text, text, text[], text[], jsonb, boolean) is
'Creates a report, refreshes it, replaces it if its query changed, or leaves it alone if nothing changed. Says which.';

create or replace view chat_reports.report_freshness as
select
    report,
    refreshed_at,
    as_of,
    report_timezone,
    newest_request_at,
    (select chat_rollups.pending_changes()) as pending_changes,
    future_request_count,
    left_out_count
from chat_rollups.report_state
where refreshed_at is not null;

comment on view chat_reports.report_freshness is
'How fresh is each report? One row per report. pending_changes and future_request_count are the same in every row, and left_out_count overlaps: never sum them.';
comment on column chat_reports.report_freshness.report is
'The report, by the name of its view in chat_reports.';
comment on column chat_reports.report_freshness.refreshed_at is
'When the report was made, or when a run found that it had nothing new to show.';
comment on column chat_reports.report_freshness.as_of is
'The last day that counts.';
comment on column chat_reports.report_freshness.report_timezone is
'The time zone whose midnights separate the days.';
comment on column chat_reports.report_freshness.newest_request_at is
'Time of the newest chat request in the log then, those in the future left out.';
comment on column chat_reports.report_freshness.pending_changes is
'Changed rows of the log that the next run has yet to count.';
comment on column chat_reports.report_freshness.future_request_count is
'Chat requests with a time in the future: a wrong clock wrote them. No report counts them before that time.';
comment on column chat_reports.report_freshness.left_out_count is
'Chat requests that the report leaves out because of an impossible value: a time before 2000, a negative duration.';

revoke all on table chat_rollups.report_state from public, service_role, telemetry_writer, telemetry_reader;
revoke all on table chat_reports.report_freshness from public, service_role, telemetry_writer, telemetry_transformer;
revoke all on all functions in schema chat_rollups from public, service_role, telemetry_writer, telemetry_reader;

grant select, insert, update, delete on table chat_rollups.report_state to telemetry_transformer;
grant select on table chat_reports.report_freshness to telemetry_reader, telemetry_transformer;
grant execute on function
chat_rollups.pending_changes(),
chat_rollups.left_out_count(text[]),
chat_rollups.state_of(text[]),
chat_rollups.key_of(regclass),
chat_rollups.refresh_report(regclass),
chat_rollups.apply_settings(regclass, jsonb),
chat_rollups.exchange_report(regclass, regclass),
chat_rollups.grant_report(regclass, text[]),
chat_rollups.make_report(text, text, text, text[], text[], jsonb, boolean)
to telemetry_transformer;
grant execute on function chat_rollups.pending_changes() to telemetry_reader;
