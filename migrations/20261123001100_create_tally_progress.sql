-- How far the drain and each tally have come: the row locks of this table are the only locks of a run.

set lock_timeout = '5s';

create table if not exists chat_tallies.tally_progress (
    name text not null,
    applied_from bigint not null default 0,
    applied_to bigint not null default 0,
    report_timezone text,
    constraint tally_progress_pkey primary key (name)
);

comment on table chat_tallies.tally_progress is
'One row for the drain and one per tally. Never edit it: `dbt run --full-refresh` makes the tallies and their rows anew.';
comment on column chat_tallies.tally_progress.name is
'The dbt model: drained_changes, or a tally.';
comment on column chat_tallies.tally_progress.applied_from is
'The batch before the first one that the model''s last run took in.';
comment on column chat_tallies.tally_progress.applied_to is
'The last batch that was drained, or that the tally has taken in.';
comment on column chat_tallies.tally_progress.report_timezone is
'The time zone that the tally''s days are cut by.';

insert into chat_tallies.tally_progress (name) values ('drained_changes') on conflict do nothing;

revoke all on table chat_tallies.tally_progress from public, service_role, telemetry_reader;

grant select, insert, update, delete on table chat_tallies.tally_progress to telemetry_transformer;
