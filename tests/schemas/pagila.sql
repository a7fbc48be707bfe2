-- A shop for films, with the shapes of the Pagila database: serial keys, an enumeration, domains, arrays, bytea,
-- tsvector, a partitioned table, views, triggers, blank-padded text, timestamps without a zone, and two tables that
-- refer to each other.
create type mpaa_rating as enum ('G', 'PG', 'PG-13', 'R', 'NC-17');
create domain year as integer check (value >= 1901 and value <= 2155);
create domain "positive amount" as numeric(5, 2) check (value > 0);
create domain email as varchar(50);
create domain "work email" as email check (value like '%@%');

create function last_updated() returns trigger language plpgsql as
    $$ begin new.last_update = current_timestamp; return new; end $$;

create table actor (
    actor_id serial primary key,
    first_name text not null,
    last_name text not null,
    last_update timestamptz not null default now()
);
create table category (
    category_id smallserial primary key,
    name varchar(25) not null,
    last_update timestamp not null default now()
);
create table language (
    language_id serial primary key,
    name character(20) not null,
    last_update timestamp not null default now()
);
create table country (
    country_id serial primary key,
    country text not null,
    last_update timestamptz not null default now()
);
create table city (
    city_id serial primary key,
    city text not null,
    country_id integer not null references country (country_id),
    last_update timestamptz not null default now()
);
create table address (
    address_id serial primary key,
    address text not null,
    address2 text,
    district text not null,
    city_id integer not null references city (city_id),
    postal_code text,
    last_update timestamptz not null default now()
);
create table film (
    film_id serial primary key,
    title text not null,
    description text,
    release_year year,
    language_id integer not null references language (language_id) on update cascade on delete restrict,
    original_language_id integer references language (language_id),
    rental_duration smallint not null default 3,
    rental_rate numeric(4, 2) not null default 4.99,
    length smallint,
    replacement_cost "positive amount" not null default 19.99,
    rating mpaa_rating default 'G',
    special_features text[],
    fulltext tsvector not null,
    title_length integer generated always as (length(title)) stored,
    last_update timestamptz not null default now()
);
create index film_fulltext on film using gist (fulltext);
create table film_actor (
    actor_id integer not null references actor (actor_id),
    film_id integer not null references film (film_id),
    last_update timestamptz not null default now(),
    primary key (actor_id, film_id)
);
create table film_category (
    film_id integer not null references film (film_id),
    category_id integer not null references category (category_id),
    last_update timestamptz not null default now(),
    primary key (film_id, category_id)
);
create table staff (
    staff_id serial primary key,
    first_name text not null,
    address_id integer references address (address_id),
    email "work email",
    store_id integer not null,
    picture bytea,
    active boolean not null default true,
    last_update timestamptz not null default now()
);
create table store (
    store_id serial primary key,
    manager_staff_id integer not null unique references staff (staff_id),
    last_update timestamptz not null default now()
);
alter table staff add constraint staff_store_id_fkey foreign key (store_id) references store (store_id);
create table customer (
    customer_id serial primary key,
    store_id integer not null references store (store_id),
    first_name text not null,
    email email,
    activebool boolean not null default true,
    create_date date not null default current_date,
    last_update timestamp default now(),
    active integer
);
create table inventory (
    inventory_id serial primary key,
    film_id integer not null references film (film_id),
    store_id integer not null references store (store_id),
    last_update timestamptz not null default now()
);
create table rental (
    rental_id serial primary key,
    rental_date timestamp not null,
    inventory_id integer not null references inventory (inventory_id),
    customer_id integer not null references customer (customer_id),
    return_date timestamp,
    staff_id integer not null references staff (staff_id),
    last_update timestamp not null default now()
);
create unique index rental_once on rental (rental_date, inventory_id, customer_id);
create table payment (
    payment_id serial not null,
    staff_id integer not null references staff (staff_id),
    rental_id integer references rental (rental_id),
    amount numeric(5, 2) not null,
    payment_date timestamptz not null,
    primary key (payment_date, payment_id)
) partition by range (payment_date);
create table payment_p2022_01 partition of payment for values from ('2022-01-01+00') to ('2022-02-01+00');
create table payment_p2022_02 partition of payment for values from ('2022-02-01+00') to ('2022-03-01+00');
create view actor_info as select actor_id, first_name || ' ' || last_name as name from actor;
create materialized view films_by_rating as select rating, count(*) as films from film group by rating;
create trigger last_updated before update on actor for each row execute function last_updated();
create trigger last_updated before update on film for each row execute function last_updated();
create trigger film_fulltext before insert or update on film for each row
    execute function tsvector_update_trigger(fulltext, 'pg_catalog.english', title, description);
insert into actor (first_name, last_name) values ('Penelope', 'Guiness'), ('Nick', 'Wahlberg');
