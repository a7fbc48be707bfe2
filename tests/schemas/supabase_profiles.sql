-- User management, as Supabase's starter of this name: a profile for each user, with policies.
create table profiles (
    id uuid references auth.users (id) on delete cascade not null primary key,
    updated_at timestamptz,
    username text unique,
    full_name text,
    avatar_url text,
    website text,
    constraint username_length check (char_length(username) >= 3)
);
alter table profiles enable row level security;
create policy "Public profiles are viewable by everyone." on profiles for select using (true);
create policy "Users can insert their own profile." on profiles for insert with check ((select auth.uid()) = id);
create policy "Users can update own profile." on profiles for update using ((select auth.uid()) = id);
grant select, insert, update on profiles to anon, authenticated;
