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

-- One event with its key in one statement, and so in one transaction of its own.
create view appends as
select events.*, '' as key, x'' as request_hash, x'' as answer from events;

create trigger append_one instead of insert on appends
begin
    select raise(abort, 'the stream is not at the expected version')
    where new.version > 1
        and not exists (select 1 from events where stream = new.stream and version = new.version - 1);
    insert into events (position, id, category, stream, version, type, schema, data, actor, correlation, at)
    values (new.position, new.id, new.category, new.stream, new.version, new.type, new.schema, new.data, new.actor,
            new.correlation, new.at);
    insert into idempotency (key, request_hash, first, last, answer, at)
    select new.key, new.request_hash, new.position, new.position, new.answer, new.at where new.key is not null;
end;
