-- What is due is found by its time: an endpoint that takes nothing has many more that wait than are due.
drop index webhook_deliveries_due;
create index webhook_deliveries_due on webhook_deliveries (endpoint, next_at, position, id) where state = 'waiting';
