-- The log: one row per chat request. If the database has the table already, its rows stay. If its columns or keys
-- differ, the migration stops and lists the differences. A new table is private at once: what 0600 keeps with
-- chat_telemetry.keep_rights are the rights on an old one.

set local lock_timeout = '5s';

do $$
begin
    if pg_catalog.to_regclass('public.chat_telemetry_log') is not null then
        return;
    end if;

    create table public.chat_telemetry_log (
        log_id uuid not null default pg_catalog.gen_random_uuid(),
        user_id uuid not null,
        conversation_id uuid,
        response_id text,
        created_at timestamptz not null default pg_catalog.now(),
        user_question text not null,
        ai_response text,
        generated_sql text,
        sql_fingerprint text,
        result_row_count integer,
        follow_up_suggestions jsonb,
        error_type text,
        error_message text,
        failed_step text,
        is_off_topic boolean not null default false,
        sql_model text,
        response_model text,
        nl_to_sql_duration_ms integer,
        sql_execution_duration_ms integer,
        response_generation_duration_ms integer,
        ttfb_ms integer,
        sql_input_tokens integer,
        sql_output_tokens integer,
        sql_cached_tokens integer,
        response_input_tokens integer,
        response_output_tokens integer,
        response_cached_tokens integer,
        constraint chat_telemetry_log_pkey primary key (log_id),
        constraint chat_telemetry_log_user_id_fkey
        foreign key (user_id) references auth.users (id) on delete cascade,
        constraint chat_telemetry_log_conversation_id_fkey
        foreign key (conversation_id) references public.chat_conversations (conversation_id) on delete set null
    );

    -- Not if somebody applies this file alone, to have the table.
    if pg_catalog.to_regproc('chat_rollups.make_private') is not null then
        call chat_rollups.make_private('table public.chat_telemetry_log');
        alter table public.chat_telemetry_log enable row level security;
    end if;
end
$$;

do $$
declare
    log_table constant regclass := 'public.chat_telemetry_log';
    columns constant text[] := array[
        'log_id', 'user_id', 'conversation_id', 'response_id', 'created_at', 'user_question', 'ai_response',
        'generated_sql', 'sql_fingerprint', 'result_row_count', 'follow_up_suggestions', 'error_type', 'error_message',
        'failed_step', 'is_off_topic', 'sql_model', 'response_model', 'nl_to_sql_duration_ms',
        'sql_execution_duration_ms', 'response_generation_duration_ms', 'ttfb_ms', 'sql_input_tokens',
        'sql_output_tokens', 'sql_cached_tokens', 'response_input_tokens', 'response_output_tokens',
        'response_cached_tokens'
    ];
    obstacles text;
    differences text;
begin
    -- What would make inserts fail, hide rows from the owner, or let rows pass the triggers by.
    select pg_catalog.string_agg(obstacle, '; ') into obstacles
    from (
        select 'it is no ordinary table' from pg_catalog.pg_class where oid = log_table and relkind <> 'r'
        union all
        select 'row level security is forced on its owner'
        from pg_catalog.pg_class where oid = log_table and relforcerowsecurity
        union all
        select 'tables inherit from it, or it inherits from another one'
        where exists (select from pg_catalog.pg_inherits where log_table in (inhparent, inhrelid))
        union all
        select pg_catalog.format('the column %I is generated', attname)
        from pg_catalog.pg_attribute
        where attrelid = log_table and attname = any(columns) and (attgenerated <> '' or attidentity <> '')
        union all
        select pg_catalog.format('the column %I is required, has no default and is not of chat-telemetry', attname)
        from pg_catalog.pg_attribute
        where
            attrelid = log_table and attnum > 0 and not attisdropped and attname <> all(columns)
            and attnotnull and not atthasdef and attidentity = ''
        union all
        select pg_catalog.format(
            'the trigger %I runs after trg_compute_sql_fingerprint and could change the fingerprint: rename it', tgname
        )
        from pg_catalog.pg_trigger
        -- Before each row, in the order of the names.
        where tgrelid = log_table and not tgisinternal and tgtype & 3 = 3 and tgname > 'trg_compute_sql_fingerprint'
    ) as found (obstacle);

    if obstacles is not null then
        raise exception 'public.chat_telemetry_log exists already and cannot be used: %', obstacles
        using hint = 'Change this with ALTER TABLE or ALTER TRIGGER, then run the migrations again.';
    end if;

    with expected (name, type, is_required) as (
        values
        ('log_id', 'uuid', true), ('user_id', 'uuid', true), ('conversation_id', 'uuid', false),
        ('response_id', 'text', false), ('created_at', 'timestamp with time zone', true),
        ('user_question', 'text', true), ('ai_response', 'text', false), ('generated_sql', 'text', false),
        ('sql_fingerprint', 'text', false), ('result_row_count', 'integer', false),
        ('follow_up_suggestions', 'jsonb', false), ('error_type', 'text', false), ('error_message', 'text', false),
        ('failed_step', 'text', false), ('is_off_topic', 'boolean', true), ('sql_model', 'text', false),
        ('response_model', 'text', false), ('nl_to_sql_duration_ms', 'integer', false),
        ('sql_execution_duration_ms', 'integer', false), ('response_generation_duration_ms', 'integer', false),
        ('ttfb_ms', 'integer', false), ('sql_input_tokens', 'integer', false), ('sql_output_tokens', 'integer', false),
        ('sql_cached_tokens', 'integer', false), ('response_input_tokens', 'integer', false),
        ('response_output_tokens', 'integer', false), ('response_cached_tokens', 'integer', false)
    ),

    wanted (what, is_there) as (
        select
            pg_catalog.format('%s %s%s', e.name, e.type, case when e.is_required then ' not null' else '' end),
            exists (
                select from pg_catalog.pg_attribute as a
                where
                    a.attrelid = log_table and a.attname = e.name and not a.attisdropped
                    and pg_catalog.format_type(a.atttypid, a.atttypmod) = e.type and a.attnotnull = e.is_required
            )
        from expected as e
        union all
        select 'primary key (log_id)', exists (
            select from pg_catalog.pg_constraint
            where
                conrelid = log_table and contype = 'p'
                and conkey = array[(
                    select attnum from pg_catalog.pg_attribute where attrelid = log_table and attname = 'log_id'
                )]
        )
        union all
        select 'foreign key (user_id) references auth.users on delete cascade', exists (
            select from pg_catalog.pg_constraint as f
            where
                conrelid = log_table and contype = 'f' and confdeltype = 'c'
                and confrelid = pg_catalog.to_regclass('auth.users')
                and conkey = array[(
                    select attnum from pg_catalog.pg_attribute where attrelid = log_table and attname = 'user_id'
                )]
                and coalesce(pg_catalog.to_jsonb(f) ->> 'conenforced', 'true') = 'true' -- a column of PostgreSQL 18
        )
        union all
        select 'foreign key (conversation_id) references public.chat_conversations on delete set null', exists (
            select from pg_catalog.pg_constraint as f
            where
                conrelid = log_table and contype = 'f' and confdeltype = 'n'
                and confrelid = pg_catalog.to_regclass('public.chat_conversations')
                and conkey = array[(
                    select attnum from pg_catalog.pg_attribute where attrelid = log_table and attname = 'conversation_id'
                )]
                and coalesce(pg_catalog.to_jsonb(f) ->> 'conenforced', 'true') = 'true'
        )
    )

    select pg_catalog.string_agg(what, '; ') into differences from wanted where not is_there;

    if differences is not null then
        raise exception 'public.chat_telemetry_log exists already, but without: %', differences
        using hint = 'Add what is missing with ALTER TABLE, then run the migrations again.';
    end if;
end
$$;

comment on table public.chat_telemetry_log is
'One row per chat request. telemetry_writer inserts rows; service_role inserts, selects and deletes them; telemetry_transformer selects the columns that the models read. No other role has access.';
comment on column public.chat_telemetry_log.log_id is
'Key of the chat request, a UUIDv7 that the loader chooses: a record that is sent twice is stored once.';
comment on column public.chat_telemetry_log.user_id is
'The user who asked. If the user is deleted, the row is deleted.';
comment on column public.chat_telemetry_log.conversation_id is
'The conversation of the request; null if there is none, or if the conversation was deleted.';
comment on column public.chat_telemetry_log.response_id is
'The provider''s id of the model response.';
comment on column public.chat_telemetry_log.created_at is
'When the user asked; not when the row was stored.';
comment on column public.chat_telemetry_log.user_question is
'The question as the user asked it.';
comment on column public.chat_telemetry_log.ai_response is
'The response as the user reads it; null if the request failed before it.';
comment on column public.chat_telemetry_log.generated_sql is
'The SQL that the model wrote; null if the question was off-topic or the request failed before it.';
comment on column public.chat_telemetry_log.sql_fingerprint is
'md5 of generated_sql in lower case with each run of white space replaced by one space. A trigger computes it; a value in the INSERT or UPDATE is ignored.';
comment on column public.chat_telemetry_log.result_row_count is
'The number of rows that the SQL returned. The rows themselves are never stored.';
comment on column public.chat_telemetry_log.follow_up_suggestions is
'The follow-up questions that were offered to the user, an array of strings.';
comment on column public.chat_telemetry_log.error_type is
'sql_generation, sql_validation, sql_execution, response_generation, unexpected or cancelled; null if the request succeeded.';
comment on column public.chat_telemetry_log.error_message is
'The message of the error; null if the request succeeded.';
comment on column public.chat_telemetry_log.failed_step is
'The step that the user saw fail: understanding, looking_up or response; null if the request succeeded or the step is not known.';
comment on column public.chat_telemetry_log.is_off_topic is
'True if the data cannot answer the question.';
comment on column public.chat_telemetry_log.sql_model is
'The model that wrote the SQL, as its provider names it.';
comment on column public.chat_telemetry_log.response_model is
'The model that wrote the response, as its provider names it.';
comment on column public.chat_telemetry_log.nl_to_sql_duration_ms is
'Milliseconds from the question to the SQL; null if not measured.';
comment on column public.chat_telemetry_log.sql_execution_duration_ms is
'Milliseconds that the SQL ran; null if it did not run.';
comment on column public.chat_telemetry_log.response_generation_duration_ms is
'Milliseconds from the result of the SQL to the end of the response; null if not measured.';
comment on column public.chat_telemetry_log.ttfb_ms is
'Milliseconds from the question to the first byte of the response; null if there was no response.';
comment on column public.chat_telemetry_log.sql_input_tokens is
'Input tokens of the model call that wrote the SQL, cached tokens included.';
comment on column public.chat_telemetry_log.sql_output_tokens is
'Output tokens of the model call that wrote the SQL.';
comment on column public.chat_telemetry_log.sql_cached_tokens is
'The part of sql_input_tokens that the provider read from its cache.';
comment on column public.chat_telemetry_log.response_input_tokens is
'Input tokens of the model call that wrote the response, cached tokens included.';
comment on column public.chat_telemetry_log.response_output_tokens is
'Output tokens of the model call that wrote the response.';
comment on column public.chat_telemetry_log.response_cached_tokens is
'The part of response_input_tokens that the provider read from its cache.';

-- Statistics would keep ids and texts of erased users. The planner does not need them to use the indexes. A log that
-- existed before may have some: if a column is altered to the type that it has, PostgreSQL drops them. It rewrites no
-- row then, but it would build indexes with a condition or an expression again and try checks again, under a lock.
do $$
declare
    log_table constant regclass := 'public.chat_telemetry_log';
    col record;
    reason text;
begin
    for col in
        select attname as name, attnum as number, pg_catalog.format_type(atttypid, atttypmod) as type_name
        from pg_catalog.pg_attribute
        where
            attrelid = log_table
            and attname in (
                'log_id', 'user_id', 'conversation_id', 'response_id', 'user_question', 'ai_response', 'generated_sql',
                'sql_fingerprint', 'follow_up_suggestions', 'error_message'
            )
    loop
        execute pg_catalog.format('alter table public.chat_telemetry_log alter column %I set statistics 0', col.name);
        continue when not exists (
            select from pg_catalog.pg_stats
            where schemaname = 'public' and tablename = 'chat_telemetry_log' and attname = col.name
        );
        if col.name = 'sql_fingerprint' then
            drop index if exists public.idx_chat_telemetry_fingerprint; -- 0400 builds it again, while chat requests go on
        end if;
        reason := null;
        if exists (
            select from pg_catalog.pg_depend as d
            inner join pg_catalog.pg_index as i on d.classid = 'pg_class'::regclass and d.objid = i.indexrelid
            where
                d.refclassid = 'pg_class'::regclass and d.refobjid = log_table and d.refobjsubid = col.number
                and (i.indexprs is not null or i.indpred is not null)
            union all
            select from pg_catalog.pg_constraint
            where conrelid = log_table and contype = 'c' and col.number = any(conkey)
        ) then
            reason := 'an index or a check';
        else
            begin
                execute pg_catalog.format(
                    'alter table public.chat_telemetry_log alter column %I type %s', col.name, col.type_name
                );
            exception when feature_not_supported then
                reason := 'a view, a trigger or a policy';
            end;
        end if;
        if reason is not null then
            raise warning 'statistics of public.chat_telemetry_log.% stay: % uses the column', col.name, reason
            using hint = 'They can hold texts of users who are erased later: `chat-telemetry erase` replaces them then.';
        end if;
    end loop;
end
$$;
