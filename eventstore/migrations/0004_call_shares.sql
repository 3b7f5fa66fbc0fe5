-- What each process of the bot may use of the calls that Discord allows to one token, for a while.
create table call_shares (
    holder text not null primary key,
    calls integer not null, -- a second
    wanted integer not null,
    until integer not null
) strict, without rowid;

-- Calls that Discord refused and counts against the address, by the minute.
create table refused_calls (
    minute integer not null primary key,
    calls integer not null
) strict;
