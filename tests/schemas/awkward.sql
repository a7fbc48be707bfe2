-- What is awkward to adopt: names that need quotes, types that not all backends have, tables without a key, and others'.
create type mood as enum ('calm', 'cross');
create table "Odd Table" (
    id text primary key,
    "order" integer,
    "Full Name" text not null,
    "100%" text,
    "it's" text default 'it''s "odd"; drop table x --',
    feeling mood,
    "select" bigint default 7
);
create table located (id uuid primary key default gen_random_uuid(), place point, words tsvector, label text not null);
create table required (id text primary key, place point not null, label text);
create table padded (id char(6) primary key, label text);
create table keyless (name text);
create table timed (at timestamptz, part text, primary key (at, part));
create domain rate as numeric(5, 2) check (value > 0);
create domain code as char(4) check (length(value) > 1);
create domain upper_code as code check (value = upper(value));
create table filled (id integer primary key, words tsvector not null, rate rate, code upper_code);
create function nothing() returns trigger language plpgsql as 'begin return null; end';
create trigger words before insert or update on filled for each row
    execute function tsvector_update_trigger(words, 'pg_catalog.simple', code);
create trigger later after insert on filled for each row execute function nothing();
create table versions (id text primary key, version text, label text);
create view "Odd View" as select id, "Full Name" from "Odd Table";
create schema elsewhere;
create table elsewhere.far (id text primary key, label text references "Odd Table" (id));
insert into "Odd Table" (id, "Full Name") values ('a', 'Ada');
