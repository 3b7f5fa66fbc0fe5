-- The Active Integrations table, and the tiers that can be attached.
create table integrations (
    id text not null primary key,
    creator text not null,
    guild text,
    phase text not null,
    version integer not null,
    position integer not null,
    doc text not null
) strict, without rowid;

create index integrations_of_creator on integrations (creator, id);
create index integrations_by_guild on integrations (guild) where guild is not null;
create index integrations_by_phase on integrations (phase, id);
create index integrations_by_position on integrations (position);

create table tiers (
    creator text not null,
    tier text not null,
    name text not null,
    primary key (creator, tier)
) strict, without rowid;

-- What is attached to integrations whose server is connected.
create table attachments (
    creator text not null,
    tier text not null,
    integration text not null,
    primary key (creator, tier, integration)
) strict, without rowid;

create index attachments_of_integration on attachments (integration);
