-- Rows of the workshop, with the extremes of their types.
insert into members (id, name, born, fee) values ('0198c5d2-0000-7000-8000-00000000000a', 'Ada', '1815-12-10', 1234567890.10), ('0198c5d2-0000-7000-8000-00000000000b', 'Bob', null, 0);
insert into rooms values ('attic', 'Attic, "the" ~/', '07:30:00.000001', '{-1,3}', '{a,"b,c"}'), ('é', null, null, null, '{}');
insert into tools (owner, state, price, bought) values
    ('0198c5d2-0000-7000-8000-00000000000a', 'used', 99999999999999.9999, '2024-02-29 23:59:59.999999+00'), ('0198c5d2-0000-7000-8000-00000000000b', 'Broken', 0.0001, '0001-01-01 00:00+00');
insert into tools (owner, part_of) values ('0198c5d2-0000-7000-8000-00000000000a', 1);
insert into loans (tool_id, borrower, due, spare) values (1, '0198c5d2-0000-7000-8000-00000000000b', '9999-12-31', '3 days 04:05:06.000007'), (2, '0198c5d2-0000-7000-8000-00000000000a', null, null);
insert into parts (label, drawing, weight) values ('bolt', '\x00ff', 0.1), ('nut', null, -1.5e300);
insert into shelves values ('attic', -1, 1, 7), ('attic', 2, null, 0), ('é', 1, 2, 3);
insert into readings values (-9007199254740993, 1.5, 0.30000000000000004, '{"a": [1, null, "x"]}'), (0, null, null, null);
insert into prices values (1, '{0.10,12345678.90}', now()), (2, '{}', null);
insert into bookings (room, day, slot, member) values ('attic', '2024-01-01', 1, '0198c5d2-0000-7000-8000-00000000000a'), ('é', '2024-01-01', 1, null);
insert into words (word, note) values ('seven', 'five letters'), ('é', null);
