-- Roles belong to the whole server, and other databases may use them: they stay.
-- To remove them once no database does: `drop role telemetry_transformer, telemetry_reader`.

select 1;
