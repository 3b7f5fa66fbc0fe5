-- Old keys are looked for in the order of the keys, a page at a time: an index by age cost every append a page.
drop index idempotency_by_age;
