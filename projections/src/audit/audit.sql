-- What auditors ask: which events name whom, and who had what on Discord at any time.

-- The events that name a fan, a creator, an integration or are of a type: `fan/ada`, `type/FanLinked`. The log is cut
-- into blocks of 1,024 positions, and a row has all that name its subject in one block, so that there are few rows.
create table mentions (
    subject text not null,
    block integer not null, -- position >> 10
    positions text not null, -- where in the block, two digits of base 32 each
    primary key (subject, block)
) strict, without rowid;

-- When the events of a block were appended, in microseconds since 1970. Clocks may run backwards, positions do not.
create table blocks (
    block integer not null primary key,
    low integer not null, -- the earliest time in this block
    high integer not null, -- the latest time in this block and in those before it
    floor integer -- the earliest time in this block, where none after it has an earlier or the same one
) strict;

create index blocks_by_high on blocks (high, block);
create index blocks_by_floor on blocks (floor) where floor is not null;

create table integrations (
    integration text not null primary key,
    creator text not null,
    guild integer, -- its server, or its last one
    connected integer not null
) strict, without rowid;

create index integrations_of_creator on integrations (creator, integration);
create index integrations_by_guild on integrations (guild) where guild is not null;

-- When which server was an integration's. One that left somebody behind has it until somebody else connects it.
create table servers (
    integration text not null,
    position integer not null,
    guild integer not null,
    began integer not null, -- microseconds since 1970
    ended integer,
    primary key (integration, position)
) strict, without rowid;

create index servers_by_guild on servers (guild, integration);

-- What one account had in one server between two events that speak of it.
create table access (
    position integer not null primary key, -- the event that it began with
    guild integer not null,
    fan text not null,
    account_key text not null,
    began integer not null, -- microseconds since 1970
    ended integer,
    fork integer, -- the roundest moment between began and ended: see moments.rs
    held integer not null, -- whether anything was had or on its way
    state text not null,
    present integer,
    brought_in integer not null,
    roles text not null, -- ids with spaces between them
    kept text not null,
    wanted integer not null, -- the desired access
    wanted_roles text not null
) strict;

create index access_open on access (guild, fan) where ended is null;
create index access_of_fan on access (fan, position);
create index access_by_fork_and_end on access (guild, fork, ended) where fork is not null;
create index access_by_fork_and_begin on access (guild, fork, began) where fork is not null;
