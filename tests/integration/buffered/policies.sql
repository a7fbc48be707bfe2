-- Users have their own memos, and so has nobody.

alter table memos enable row level security;
create policy own on memos to authenticated using (owner = auth.uid()::text) with check (owner = auth.uid()::text);
create policy nobodys on memos to anon using (owner = 'nobody') with check (owner = 'nobody');
