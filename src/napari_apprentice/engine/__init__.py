"""Running networks: prepare, predict, sample, augment, train. No Qt; jobs are generators of events."""
