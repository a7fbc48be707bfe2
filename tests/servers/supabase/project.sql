-- What a project has once its server has started: the functions that tell a policy who asks, for everybody.

grant usage on schema auth to anon, authenticated, service_role;

create or replace function auth.uid() returns uuid
language sql stable
return coalesce(
    nullif(current_setting('request.jwt.claim.sub', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
)::uuid;

grant execute on all functions in schema auth to anon, authenticated, service_role;
