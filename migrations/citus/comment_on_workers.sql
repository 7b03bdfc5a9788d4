-- Gives auth.users its comment on each worker: by it the loader knows that it may insert users, and Citus brings no
-- comment to the workers. distribute.sql runs it. Run it again after a warning, and when a worker was added.

do $$
declare
    comment_there constant text := pg_catalog.format(
        'comment on table auth.users is %L', pg_catalog.obj_description('auth.users'::pg_catalog.regclass, 'pg_class')
    );
    worker record;
begin
    for worker in select * from pg_catalog.run_command_on_workers(comment_there) where not success loop
        raise warning 'on %:%: %', worker.nodename, worker.nodeport, worker.result
        using hint = 'Run migrations/citus/comment_on_workers.sql when the worker is there.';
    end loop;
end
$$;
