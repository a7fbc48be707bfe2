-- What the starters of Supabase find in a project: its users, and the functions that tell a policy who asks. The roles are
-- those of the tests' own script.
create table auth.users (id uuid primary key, email text, raw_user_meta_data jsonb);
drop function auth.uid();
create function auth.uid() returns uuid language sql stable
return (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid;
create function auth.role() returns text language sql stable
return nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role';
grant execute on all functions in schema auth to anon, authenticated, service_role;
