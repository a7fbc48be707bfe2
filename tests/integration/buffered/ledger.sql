-- What ledger.ts does on a deployment, on a project.

create function ledger_add(owner text) returns text
language sql volatile
as $$
    insert into memos (id, owner, created_at, updated_at, version)
    values (gen_random_uuid()::text, ledger_add.owner, now(), now(), 1)
    returning memos.owner
$$;

create function ledger_count() returns bigint
language sql stable
as $$
    select count(*) from memos
$$;

create function ledger_viewer() returns jsonb
language sql stable
as $$
    select jsonb_build_object('role', current_user, 'subject', auth.uid())
$$;
