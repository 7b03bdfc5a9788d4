-- make_report: the run function that creates, refreshes or replaces a report.

set local lock_timeout = '5s';

create or replace function chat_rollups.make_report(
    report text,
    query text,
    target_schema text,
    rollups text[],
    readers text[],
    settings jsonb,
    full_refresh boolean
)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
set quote_all_identifiers = off  -- a concurrent refresh fails with it
set jit = off
as $$
declare
    view_name constant text := pg_catalog.format('chat_reports.%I', report);
    new_name constant text := pg_catalog.format('chat_reports.%I', report || '__new');
    new_query_md5 constant text := chat_rollups.query_md5(query);
    new_settings_md5 constant text := pg_catalog.md5(settings::text);
    stored_state chat_rollups.report_state;
    state jsonb;
    kind "char";
    is_filled boolean;
    definition_differs boolean;
    outcome text;
begin
    insert into chat_rollups.report_state (report) values (make_report.report) on conflict do nothing;
    select * into strict stored_state
    from chat_rollups.report_state as s where s.report = make_report.report for update;
    perform chat_rollups.assert_owner(target_schema);
    state := chat_rollups.rollup_state(rollups);
    perform chat_rollups.forget_counted_changes();

    select relkind, relispopulated into kind, is_filled
    from pg_catalog.pg_class where oid = pg_catalog.to_regclass(view_name);
    if kind <> 'm' then
        raise exception '% exists, but is not a materialized view: rename or drop it, then run dbt again', view_name;
    end if;

    if is_filled and stored_state.query_md5 = new_query_md5 and stored_state.settings_md5 = new_settings_md5
        and stored_state.made_from = state and not full_refresh
    then
        outcome := 'nothing new';
    elsif kind is not null
        and stored_state.query_md5 = new_query_md5 and stored_state.settings_md5 = new_settings_md5
    then
        perform chat_rollups.refresh_report(view_name);
        if chat_rollups.unique_index_of(view_name) is null then
            perform chat_rollups.apply_settings(view_name, settings);
        end if;
        outcome := 'refreshed';
    else
        execute pg_catalog.format(E'create materialized view %s as\n%s\nwith no data', new_name, query);
        if pg_catalog.pg_has_role('telemetry_transformer', 'usage') then
            -- The group owns the report, because any member of it may refresh or replace the report in the next run.
            execute pg_catalog.format('alter materialized view %s owner to telemetry_transformer', new_name);
        end if;
        definition_differs := kind is null or pg_catalog.pg_get_viewdef(view_name::regclass)
            <> pg_catalog.pg_get_viewdef(new_name::regclass);
        if definition_differs then
            perform chat_rollups.refresh_report(new_name);
            perform chat_rollups.apply_settings(new_name, settings);
            if kind is null then
                execute pg_catalog.format('alter materialized view %s rename to %I', new_name, report);
            else
                perform chat_rollups.exchange_report(view_name, new_name);
            end if;
            outcome := case when kind is null then 'created' else 'replaced' end;
        else
            -- The rows are the same: only an index, a comment or white space in the query differs.
            execute pg_catalog.format('drop materialized view %s', new_name);
            if stored_state.settings_md5 is distinct from new_settings_md5 then
                perform chat_rollups.apply_settings(view_name, settings);
            end if;
            perform chat_rollups.refresh_report(view_name);
            outcome := 'refreshed';
        end if;
    end if;
    -- A refresh keeps grants, also those that the project no longer has, so they are compared in each run.
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

comment on function chat_rollups.make_report is
'Creates a report, replaces it if its query changed, refreshes it if its rollups changed, or does nothing. Returns which.';

call chat_rollups.make_private('function chat_rollups.make_report');

grant execute on function
chat_rollups.make_report
to telemetry_transformer;
