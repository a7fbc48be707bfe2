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
create table versions (id text primary key, version text, label text);
create view "Odd View" as select id, "Full Name" from "Odd Table";
create schema elsewhere;
create table elsewhere.far (id text primary key, label text references "Odd Table" (id));
insert into "Odd Table" (id, "Full Name") values ('a', 'Ada');
