-- Memberships that time will end.
create table timers (
    membership text not null primary key,
    version integer not null,
    status text not null,
    ends_at integer not null -- microseconds since 1970
) strict, without rowid;

create index timers_by_end on timers (status, ends_at);
