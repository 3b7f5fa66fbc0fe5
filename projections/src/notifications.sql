-- What fans are told, and the few facts that say whom to tell.
create table notifications (
    id text not null primary key,
    fan text not null,
    position integer not null,
    kind text not null,
    integration text not null,
    tier text not null,
    at integer not null, -- microseconds since 1970
    read integer not null
) strict, without rowid;

create index notifications_of_fan on notifications (fan, position, id);
create index notifications_of_integration on notifications (integration, tier);

create table integrations (
    integration text not null primary key,
    creator text not null
) strict, without rowid;

create table memberships (
    membership text not null primary key,
    fan text not null,
    creator text not null,
    tier text not null,
    live integer not null
) strict, without rowid;

create index memberships_by_tier on memberships (creator, tier, fan) where live;
