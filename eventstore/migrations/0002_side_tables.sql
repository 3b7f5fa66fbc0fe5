-- What must be shared and yet be erasable stands beside the log, so that one backup has all.

-- The keys of the Hub itself, wrapped by the master key: 'check' proves the master key, 'accounts' names accounts.
create table hub_keys (
    name text not null primary key,
    wrapped blob not null
) strict, without rowid;

-- One key per fan, wrapped by the master key. Destroying it erases what is sealed with it.
create table subject_keys (
    fan text not null primary key,
    wrapped blob,
    destroyed_at integer
) strict, without rowid;

create table api_keys (
    id text not null primary key,
    hash blob not null unique,
    role text not null,
    name text not null,
    created_at integer not null,
    expires_at integer,
    revoked_at integer
) strict, without rowid;

create table oauth_states (
    hash blob not null primary key,
    purpose text not null,
    created_at integer not null
) strict, without rowid;

create index oauth_states_by_age on oauth_states (created_at);

create table discord_tokens (
    fan text not null primary key,
    sealed blob not null
) strict, without rowid;

create table sessions (
    hash blob not null primary key,
    kind text not null, -- 'link' or 'session'
    content text not null,
    expires_at integer not null
) strict, without rowid;

create index sessions_by_age on sessions (expires_at);

create table leases (
    name text not null primary key,
    holder text not null,
    epoch integer not null,
    until integer not null
) strict, without rowid;
