-- Roles belong to the whole server, and other databases may use them: they stay. To remove them when no database uses
-- them any more: `drop role telemetry_writer, telemetry_transformer, telemetry_reader`.

select 1;
