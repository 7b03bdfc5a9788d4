-- Roles and their members belong to the whole server, and other databases may use them, so they stay. To drop them when
-- no database uses them any more: `drop role telemetry_writer, telemetry_transformer, telemetry_reader`.

do $$ begin end $$;
