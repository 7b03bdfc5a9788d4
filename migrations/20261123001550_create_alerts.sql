-- The alerts that `chat-telemetry run` has announced, so that it announces the begin and the end of each one once.

set local lock_timeout = '5s';

create table if not exists chat_rollups.alerts (
    alert text not null,
    subject text not null,
    value numeric,
    bound numeric not null,
    began_at timestamptz not null default pg_catalog.now(),
    constraint alerts_pkey primary key (alert, subject)
);

comment on table chat_rollups.alerts is
'Values that are over their bound, announced by `chat-telemetry run`. One row per alert and subject. The run that holds a lock on this table is the only one.';
comment on column chat_rollups.alerts.alert is
'The dbt test with the tag `alert`, without `alert_`.';
comment on column chat_rollups.alerts.subject is
'What is over the bound: a day, a month or a report; empty if the alert has one value.';
comment on column chat_rollups.alerts.value is
'The value when the alert began; null if there is none, for example if no chat request ever arrived.';
comment on column chat_rollups.alerts.bound is
'The bound when the alert began.';

call chat_rollups.make_private('table chat_rollups.alerts');
grant select, insert, update, delete on table chat_rollups.alerts to telemetry_transformer;
