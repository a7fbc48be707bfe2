-- The feed over HTTP, for who has the secret key.

create or replace function public.isthmus_changes(after text, most integer) returns jsonb
language sql volatile security invoker set search_path = ''
as $$
    select isthmus_changes.read(after, most)
$$;
revoke all on function public.isthmus_changes(text, integer) from public, anon, authenticated;
grant execute on function public.isthmus_changes(text, integer) to service_role;

-- Purging over HTTP, likewise.
create or replace function public.isthmus_changes_purge(keep interval, cursors text[]) returns bigint
language sql volatile security invoker set search_path = ''
as $$
    select isthmus_changes.purge(keep, cursors)
$$;
revoke all on function public.isthmus_changes_purge(interval, text[]) from public, anon, authenticated;
grant execute on function public.isthmus_changes_purge(interval, text[]) to service_role;

revoke all on schema isthmus_changes from anon, authenticated;
revoke all on all tables in schema isthmus_changes from anon, authenticated, service_role;
revoke all on all functions in schema isthmus_changes from anon, authenticated;
grant usage on schema isthmus_changes to service_role;
grant execute on function isthmus_changes.read(text, integer) to service_role;
grant execute on function isthmus_changes.purge(interval, text[]) to service_role;

-- PostgREST learns of the function.
notify pgrst, 'reload schema';
