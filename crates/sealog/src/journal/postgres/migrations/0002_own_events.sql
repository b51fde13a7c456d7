-- Which of the log's own events carry its state, so that they are found without reading all: kind 0 changes
-- the settings, 1 places or lifts a hold, 2 is a removal receipt.
CREATE TABLE own_event (
    kind smallint NOT NULL,
    seq  bigint NOT NULL,
    PRIMARY KEY (kind, seq)
);

-- Of an event that was removed, in whole or in part, `id` is a keyed hash of the id it had, and this its
-- timestamp, for the receipt of one that is sent again.
ALTER TABLE event ADD COLUMN removed bigint;
CREATE INDEX event_removed ON event (seq) WHERE removed IS NOT NULL;
