-- Who may call what; Supabase lets everybody call every new function, other servers may have taken that away.

grant execute on all functions in schema isthmus to anon, authenticated, service_role;
revoke all on function
    isthmus.as_authenticated(jsonb, text, jsonb),
    isthmus.as_anon(jsonb, text, jsonb),
    isthmus.sequence(text),
    isthmus.pass_numbers(text, jsonb),
    public.isthmus_numbers(text, integer)
    from public, anon, authenticated;
grant execute on function public.isthmus_numbers(text, integer) to service_role;
revoke all on function public.isthmus_commit_as(jsonb) from public, anon, authenticated;
grant execute on function public.isthmus_commit_as(jsonb) to service_role;
revoke all on function public.isthmus_commit(jsonb), public.isthmus_groups(jsonb) from public;
grant execute on function public.isthmus_commit(jsonb), public.isthmus_groups(jsonb)
    to anon, authenticated, service_role;

-- PostgREST learns of the functions.
notify pgrst, 'reload schema';
