-- The part of a Supabase project's database that row level security builds on: the roles of its interfaces, what
-- they may touch, and the functions that tell a policy who asks.

do $$
declare
    missing text;
begin
    for missing in
        select name from unnest(array['anon', 'authenticated', 'service_role']) as name
        where not exists (select from pg_roles where rolname = name)
    loop
        execute format('create role %I nologin noinherit', missing);
    end loop;
end
$$;

alter role service_role bypassrls;

grant usage on schema public to anon, authenticated, service_role;
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;

create schema auth;
grant usage on schema auth to anon, authenticated, service_role;

create function auth.uid() returns text
language sql stable
return nullif(current_setting('request.jwt.claim.sub', true), '');

create function auth.jwt() returns jsonb
language sql stable
return nullif(current_setting('request.jwt.claims', true), '')::jsonb;
