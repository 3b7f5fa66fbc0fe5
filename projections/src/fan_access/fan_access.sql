-- How every fan stands in every integration, and what the bot has left to do: two answers from the same
-- facts, so they are tables of one view.

-- The facts of a fan, as one document.
create table fans (
    fan text not null primary key,
    doc text not null
) strict, without rowid;

create table memberships (
    membership text not null primary key,
    fan text not null,
    creator text not null,
    tier text not null
) strict, without rowid;

create index memberships_by_tier on memberships (creator, tier, fan);

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
create index access_of_fan on access (fan, integration);
create index access_by_position on access (position, integration, fan);

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
) strict, without rowid;

create index commands_by_version on commands (version, guild, account_key);
create index commands_parked on commands (guild, fan) where parked is not null;

-- Accounts that a fan no longer uses and that hold nothing any more: their reservation can be released.
create table releasable (
    account_key text not null primary key,
    fan text not null
) strict, without rowid;
