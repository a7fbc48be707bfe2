-- The same shop as a SQLite file of another program: numeric prices that are held as doubles, moments as text, and names
-- with capitals.
create table Artist (ArtistId INTEGER PRIMARY KEY NOT NULL, Name NVARCHAR(120));
create table Album (
    AlbumId INTEGER PRIMARY KEY NOT NULL,
    Title NVARCHAR(160) NOT NULL,
    ArtistId INTEGER NOT NULL REFERENCES Artist (ArtistId)
);
create table Track (
    TrackId INTEGER PRIMARY KEY NOT NULL,
    Name NVARCHAR(200) NOT NULL,
    AlbumId INTEGER REFERENCES Album (AlbumId),
    Milliseconds INTEGER NOT NULL,
    UnitPrice NUMERIC(10,2) NOT NULL
);
create table Invoice (
    InvoiceId INTEGER PRIMARY KEY NOT NULL,
    InvoiceDate DATETIME NOT NULL,
    Total NUMERIC(10,2) NOT NULL
);
create table PlaylistTrack (
    PlaylistId INTEGER NOT NULL,
    TrackId INTEGER NOT NULL REFERENCES Track (TrackId),
    PRIMARY KEY (PlaylistId, TrackId)
) WITHOUT ROWID;
create table "Shelf Place" (
    id TEXT NOT NULL PRIMARY KEY,
    "order" INTEGER,
    "Full Name" VARCHAR(80) NOT NULL DEFAULT 'unnamed',
    paid NUMERIC(10,2),
    seen DATETIME,
    julian REAL,
    unix INTEGER,
    bought DATE,
    closed TIME,
    open BOOLEAN NOT NULL DEFAULT 1,
    odd,
    word TEXT COLLATE NOCASE,
    document JSON,
    "double" REAL GENERATED ALWAYS AS (julian * 2) STORED
) WITHOUT ROWID;
create table diary (id TEXT NOT NULL PRIMARY KEY, happened DATETIME NOT NULL, entry TEXT);
create view Prices as select Name, UnitPrice from Track;
insert into Artist values (1, 'AC/DC'), (2, 'Accept');
insert into Album values (1, 'Balls to the Wall', 2);
insert into Track values (1, 'Fast As a Shark', 1, 230619, 0.99), (2, 'Restless', 1, 252051, 2);
insert into Invoice values (1, '2009-01-01 00:00:00', 1.98);
insert into PlaylistTrack values (1, 1), (1, 2);
insert into "Shelf Place" values
    ('a', 1, 'First Shelf', 12.5, '2024-02-29 12:30:00', 2460370.5, 1709208000, '2024-02-29', '12:30:00', 1, 'x', 'W', '{}'),
    ('b', 2, 'Second Shelf', 3, 1709208000, 2.5, 1709208001, null, null, 0, 5, 'w', null);
insert into diary values ('x', '2024-02-29 12:30:00', 'rain');
