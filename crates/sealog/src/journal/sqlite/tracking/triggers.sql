CREATE TRIGGER $inserting BEFORE INSERT ON $table
BEGIN
    DELETE FROM sealog_replaced WHERE name = $name;
    INSERT INTO sealog_replaced (name, row, id, before, changed, differs)
    SELECT $name, $row_r, $id_r, $state_r, $changed_r_new, $differs_r_new FROM $table AS r WHERE $conflicts_new;
END;

CREATE TRIGGER $inserted AFTER INSERT ON $table
BEGIN
    INSERT INTO sealog_inbox (event)
    SELECT $event_deleted_replaced
    FROM sealog_replaced AS replaced LEFT JOIN sealog_context ON true
    WHERE name = $name AND id IS NOT $id_new AND ($row_new IS NULL OR replaced.row = $row_new OR NOT EXISTS (SELECT 1 FROM $table AS t WHERE $row_t = replaced.row));
    INSERT INTO sealog_inbox (event)
    SELECT CASE WHEN replaced.name IS NULL THEN $event_created ELSE $event_replaced END
    FROM (SELECT 1) LEFT JOIN sealog_replaced AS replaced ON replaced.name = $name AND replaced.id IS $id_new
    LEFT JOIN sealog_context ON true
    WHERE replaced.differs IS NOT 0
    LIMIT 1;
    DELETE FROM sealog_replaced WHERE name = $name;
END;

CREATE TRIGGER $updating BEFORE UPDATE ON $table
BEGIN
    DELETE FROM sealog_replaced WHERE name = $name;
    INSERT INTO sealog_replaced (name, row, id, before, changed, differs)
    SELECT $name, $row_r, $id_r, $state_r, '[]', 1 FROM $table AS r WHERE ($conflicts_new) AND NOT ($is_old);
END;

CREATE TRIGGER $updated AFTER UPDATE ON $table
BEGIN
    INSERT INTO sealog_inbox (event)
    SELECT $event_deleted_replaced
    FROM sealog_replaced AS replaced LEFT JOIN sealog_context ON true
    WHERE name = $name AND ($row_new IS NULL OR replaced.row = $row_new OR NOT EXISTS (SELECT 1 FROM $table AS t WHERE $row_t = replaced.row));
    INSERT INTO sealog_inbox (event)
    SELECT $event_updated FROM (SELECT 1) LEFT JOIN sealog_context ON true WHERE $differs_old_new;
    DELETE FROM sealog_replaced WHERE name = $name;
END;

CREATE TRIGGER $deleted AFTER DELETE ON $table
BEGIN
    DELETE FROM sealog_replaced WHERE name = $name AND id IS $id_old;
    INSERT INTO sealog_inbox (event) SELECT $event_deleted FROM (SELECT 1) LEFT JOIN sealog_context ON true;
END;
