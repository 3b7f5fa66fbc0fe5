-- How every fan stands in every integration, and what the bot has left to do: two answers from the same
-- facts, so they are tables of one view.

-- The facts of a fan, as one document. Documents stand in tables with row ids: in an index they would be torn
-- over pages of their own.
create table fans (
    fan text not null primary key,
    doc text not null
) strict;

create table memberships (
    membership text not null primary key,
    fan text not null,
    creator text not null,
    tier text not null
) strict, without rowid;

create index memberships_by_tier on memberships (creator, tier, fan);

-- To whom a creator gave something by hand that has not ended: they have a row only while a server is connected.
create table by_hand (
    integration text not null,
    fan text not null,
    primary key (integration, fan)
) strict, without rowid;

create table integrations (
    id text not null primary key,
    creator text not null,
    guild text,
    doc text not null
) strict, without rowid;

create index integrations_of_creator on integrations (creator, id);

create table access (
    integration text not null,
    fan text not null,
    status text not null,
    position integer not null,
    doc text not null,
    primary key (integration, fan)
) strict, without rowid;

create index access_by_status on access (integration, status, fan);
-- Whose access somebody decided against, one by one.
create index access_decided on access (integration, status)
where doc ->> '$.trouble[0]' in ('banned', 'withheld');
-- Where an account that a fan no longer uses has something left.
create index access_left on access (integration) where json_array_length(doc, '$.leftovers') > 0;
create index access_of_fan on access (fan, integration);
create index access_by_position on access (position, integration, fan);

-- Rows that there were: whoever follows changes hears that they went.
create table gone (
    integration text not null,
    fan text not null,
    position integer not null,
    primary key (integration, fan)
) strict, without rowid;

create index gone_by_position on gone (position, integration, fan);

create table counts (
    integration text not null,
    status text not null,
    fans integer not null,
    primary key (integration, status)
) strict, without rowid;

-- One open command for a guild and account at most; a newer decision takes the older one's place.
create table commands (
    guild text not null,
    account_key text not null,
    id text not null unique,
    version integer not null,
    shard_base integer not null, -- guild id >> 22; its remainder by the number of shards is the shard
    fan text not null,
    parked text,
    doc text not null,
    primary key (guild, account_key)
) strict;

create index commands_by_version on commands (version, guild, account_key);
create index commands_in_guild on commands (guild, fan);

-- Accounts that a fan no longer uses and that hold nothing any more: their reservation can be released.
create table releasable (
    account_key text not null primary key,
    fan text not null
) strict, without rowid;

-- Removals that wait, or waited, for a person.
create table holds (
    id text not null primary key,
    creator text not null,
    integration text not null,
    status text not null,
    position integer not null,
    correlation text not null, -- what it holds was caused together
    until integer, -- of lapses: what had ended by then, in microseconds since 1970, in place of the correlation
    doc text not null, -- how it came about
    decided text -- by whom and when
) strict, without rowid;

create index holds_by_position on holds (position);
create index holds_of_creator on holds (creator, position);
create index holds_of_integration on holds (integration, position);
create index holds_by_correlation on holds (correlation);
create index holds_of_lapses on holds (integration, until) where until is not null;

-- What a fan keeps because its removal is held, or was rejected.
create table held (
    hold text not null,
    fan text not null,
    integration text not null,
    waiting integer not null,
    server integer not null, -- whether the fan would be removed from it
    roles text not null,
    primary key (hold, fan)
) strict, without rowid;

create index held_in_integration on held (integration, waiting, fan);

-- How often each cause is the matter now, and the notice that tells of it. Nothing is an empty text.
create table troubles (
    audience text not null,
    integration text not null,
    trouble text not null,
    role text not null,
    times integer not null,
    notice text not null,
    primary key (audience, integration, trouble, role)
) strict, without rowid;

create table notices (
    id text not null primary key,
    audience text not null,
    integration text not null,
    trouble text not null,
    role text not null,
    position integer not null,
    at integer not null, -- microseconds since 1970
    resolved_at integer,
    read integer not null
) strict, without rowid;

create index notices_of_audience on notices (audience, position, id);
