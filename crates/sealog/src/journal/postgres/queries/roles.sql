-- $schema, $inbox, $reader and $sequencer are put in before. Running it again changes nothing.
REVOKE ALL ON ALL TABLES IN SCHEMA $schema FROM PUBLIC;
GRANT USAGE ON SCHEMA $schema TO $inbox, $reader, $sequencer;

-- Who writes to the inbox reads nothing, and chooses neither position nor transaction.
GRANT INSERT (id, event, digest) ON inbox TO $inbox;
-- It calls the functions that check what they are given, and none that tells anything.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA $schema FROM PUBLIC;
GRANT EXECUTE ON FUNCTION new_id(), log(jsonb), set_context(jsonb, text) TO $inbox;

GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA $schema TO $sequencer;
GRANT SELECT ON signer, event, node, checkpoint, own_event, rejected, state, drained, migration, events TO $reader;

GRANT SELECT ON ALL TABLES IN SCHEMA $schema TO $sequencer;
GRANT INSERT ON signer, event, node, checkpoint, own_event, rejected, state, drained TO $sequencer;
GRANT INSERT (id, event, digest), UPDATE (xid), DELETE ON inbox TO $sequencer;
-- Removals. Nothing else of an event is ever changed.
GRANT UPDATE (id, digest, removed, salt, body) ON event TO $sequencer;
GRANT UPDATE (copy) ON rejected TO $sequencer;
GRANT DELETE ON checkpoint, state, drained TO $sequencer;
DO $do$
BEGIN
    IF current_setting('server_version_num')::integer >= 170000 THEN
        EXECUTE 'GRANT MAINTAIN ON event, rejected, inbox TO $sequencer';
    END IF;
END
$do$;
