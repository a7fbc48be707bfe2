-- Parts of a commit in somebody's name. The service sends a commit of several and says of each part whose it is:
-- `parties` has a role and claims, or null for the service itself, and every read, range and step the place there. The
-- functions below take a role on and lay it down again by themselves, and only the service may call them.

-- Do `work`, which is a statement of ours, on its argument with somebody's role and claims. The settings of a function
-- end with it, those made inside included.
-- Made anew: to be replaced, they would have to be for the role to call.
drop function if exists isthmus.as_authenticated(jsonb, text, jsonb), isthmus.as_anon(jsonb, text, jsonb);

create function isthmus.as_authenticated(claims jsonb, work text, argument jsonb) returns void
language plpgsql
set role = 'authenticated'
set "request.jwt.claims" = ''
set "request.jwt.claim.sub" = ''
set "request.jwt.claim.role" = ''
as $$
begin
    perform isthmus.claim(claims);
    execute work using argument;
end
$$;

create function isthmus.as_anon(claims jsonb, work text, argument jsonb) returns void
language plpgsql
set role = 'anon'
set "request.jwt.claims" = ''
set "request.jwt.claim.sub" = ''
set "request.jwt.claim.role" = ''
as $$
begin
    perform isthmus.claim(claims);
    execute work using argument;
end
$$;

create or replace function isthmus.claim(claims jsonb) returns void
language sql
as $$
    select
        set_config('request.jwt.claims', claims::text, true),
        set_config('request.jwt.claim.sub', coalesce(claims ->> 'sub', ''), true),
        set_config('request.jwt.claim.role', coalesce(claims ->> 'role', ''), true)
$$;

-- Do `work` for a part of a commit; as whoever asks, unless the commit has parties and the part is another one's.
create or replace function isthmus.in_name_of(body jsonb, party integer, work text, argument jsonb) returns void
language plpgsql
as $$
declare
    who constant jsonb := nullif(body -> 'parties' -> party, 'null');
begin
    case who ->> 'role'
        when 'authenticated' then perform isthmus.as_authenticated(who -> 'claims', work, argument);
        when 'anon' then perform isthmus.as_anon(who -> 'claims', work, argument);
        else
            if who is not null then
                perform isthmus.refuse_malformed('a party has an unknown role');
            end if;
            execute work using argument;
    end case;
end
$$;

-- The items of a list that are a party's; all of them, if there are no parties.
create or replace function isthmus.parts_of(body jsonb, list text, party integer) returns jsonb
language sql immutable
as $$
    select coalesce(jsonb_agg(item order by position), '[]')
    from jsonb_array_elements(body -> list) with ordinality as items (item, position)
    where not body ? 'parties' or (item ->> 'party')::integer = party
$$;
