-- The log: the only shared truth. Positions are gapless and in the order of commits.
create table events (
    position integer primary key,
    id blob not null,
    category text not null,
    stream text not null,
    version integer not null,
    type text not null,
    schema integer not null,
    data text not null,
    actor text not null,
    correlation blob not null,
    at integer not null -- microseconds since 1970; never decides order
) strict;

create unique index events_of_stream on events (stream, version);

create trigger events_are_never_changed before update on events
begin
    select raise(abort, 'events are never changed');
end;

create trigger events_are_never_deleted before delete on events
begin
    select raise(abort, 'events are never deleted');
end;

-- What an append or a request with an idempotency key came to.
create table idempotency (
    key text not null primary key,
    request_hash blob not null,
    first integer not null,
    last integer not null,
    answer blob,
    at integer not null
) strict, without rowid;

create index idempotency_by_age on idempotency (at);
