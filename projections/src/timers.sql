-- Memberships that time will end.
create table timers (
    membership text not null primary key,
    fan text not null,
    version integer not null,
    status text not null,
    ends_at integer not null -- microseconds since 1970
) strict, without rowid;

-- What was given by hand and ends by itself.
create table grants (
    fan text not null,
    integration text not null,
    until integer not null, -- microseconds since 1970
    primary key (fan, integration)
) strict, without rowid;

create index grants_by_end on grants (until);

create index timers_by_end on timers (status, ends_at);

create index timers_by_fan on timers (fan, status, ends_at);
