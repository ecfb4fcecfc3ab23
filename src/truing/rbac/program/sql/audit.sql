-- name: audit
-- Trigger, for each row: who changed what. The actor is current_actor(), else what the setting app.actor says, or the
-- login; the impersonator is who is really there. Masks follow from the grants, so a row that differs only in them is not worth a line.
CREATE OR REPLACE FUNCTION :"program".audit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, :"schema", pg_temp AS $body$
DECLARE
  derived CONSTANT text[] := ARRAY['allow_mask', 'deny_mask', 'updated_at'];
  was jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) - derived END;
  becomes jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) - derived END;
  whose text := TG_ARGV[0];
  who text := COALESCE(:"program".current_actor()::text, NULLIF(current_setting('app.actor', true), ''), session_user);
BEGIN
  IF was IS DISTINCT FROM becomes THEN
    INSERT INTO rbac_audit (tenant_id, actor, op, table_name, old_row, new_row)
    VALUES ((COALESCE(becomes, was) ->> whose)::uuid, who, TG_OP, TG_TABLE_NAME, was, becomes);
  END IF;
  RETURN NULL;
END
$body$;

-- name: audit_profile
-- Trigger of profiles, where somebody is switched on or off: names and addresses of people are not kept.
CREATE OR REPLACE FUNCTION :"program".audit_profile() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, :"schema", pg_temp AS $body$
DECLARE
  who text := COALESCE(:"program".current_actor()::text, NULLIF(current_setting('app.actor', true), ''), session_user);
BEGIN
  INSERT INTO rbac_audit (tenant_id, actor, op, table_name, old_row, new_row)
  VALUES (NEW.tenant_id, who, TG_OP, TG_TABLE_NAME,
          jsonb_build_object('id', OLD.id, 'tenant_id', OLD.tenant_id, 'active', OLD.active),
          jsonb_build_object('id', NEW.id, 'tenant_id', NEW.tenant_id, 'active', NEW.active));
  RETURN NULL;
END
$body$;

-- name: keep_audit
-- Trigger of rbac_audit: what has happened has happened. Whoever may drop the trigger may empty the log, nobody else.
CREATE OR REPLACE FUNCTION :"program".keep_audit() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  RAISE EXCEPTION 'the audit log is only ever added to, so % is refused', TG_OP
    USING ERRCODE = 'insufficient_privilege',
          HINT = 'To empty it, its owner disables the trigger trg_audit_keep for that transaction.';
END
$body$;
