-- Where the platform is told what happened, and what it was told.
create table webhook_endpoints (
    id text not null primary key,
    url text not null,
    description text not null,
    types text not null, -- a JSON array; an empty one means all
    sealed blob not null, -- the secret, sealed with the Hub's key for it
    old_sealed blob, -- the secret before, which signs beside the new one for a while
    old_until integer,
    created_at integer not null,
    since integer not null, -- it is told what came after this position
    disabled_at integer,
    disabled_by text -- 'hand', 'gone' (410) or 'failures'
) strict, without rowid;

-- A message to one endpoint. Its id is made of what it tells, so that telling it again is no other message.
create table webhook_deliveries (
    id text not null primary key,
    endpoint text not null references webhook_endpoints (id) on delete cascade,
    position integer not null, -- of the event that it tells of
    fan text, -- messages about one fan go out in order
    type text not null,
    body text not null,
    state text not null, -- 'waiting', 'delivered' or 'failed'
    attempts integer not null,
    next_at integer, -- while it waits
    http_status integer, -- of the last attempt
    problem text, -- of the last attempt, where there was no answer or not the one wanted
    created_at integer not null,
    done_at integer
) strict;

create index webhook_deliveries_due on webhook_deliveries (endpoint, position, id, next_at) where state = 'waiting';
create index webhook_deliveries_of_endpoint on webhook_deliveries (endpoint, position, id);
create index webhook_deliveries_by_age on webhook_deliveries (created_at);

-- How far the log has been told. There is one row.
create table webhook_cursor (
    position integer not null
) strict;

insert into webhook_cursor select coalesce(max(position), 0) from events;
