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

-- For the dashboard: telemetry_reader reads no table of chat_rollups.
create or replace view chat_reports.open_alerts as
select
    alert,
    subject,
    value,
    bound,
    began_at
from chat_rollups.alerts;

comment on view chat_reports.open_alerts is
'Which values are over their bound? One row per alert and subject, from the last `chat-telemetry run`.';
comment on column chat_reports.open_alerts.alert is
'The alert: the dbt test with the tag `alert`, without `alert_`.';
comment on column chat_reports.open_alerts.subject is
'What is over the bound: a day, a month or a report; empty if the alert has one value.';
comment on column chat_reports.open_alerts.value is
'The value when the alert began; null if there is none, for example if no chat request ever arrived.';
comment on column chat_reports.open_alerts.bound is
'The bound when the alert began.';
comment on column chat_reports.open_alerts.began_at is
'When a run first found the value over its bound.';

call chat_rollups.make_private('table chat_reports.open_alerts');
grant select on table chat_reports.open_alerts to telemetry_reader, telemetry_transformer;
