-- name: tenant_keys
-- The secrets, as HMAC uses them: padded to a block and combined with its two constants (RFC 2104), so that it is done
-- once and not for each check. Row security keeps it closed even where somebody grants SELECT on every table.
CREATE TABLE IF NOT EXISTS :"program".tenant_keys (
  which text NOT NULL CONSTRAINT pk_tenant_keys PRIMARY KEY
    CONSTRAINT ck_tenant_keys_which CHECK (which IN ('current', 'previous')),
  inner_pad bytea NOT NULL CONSTRAINT ck_tenant_keys_inner CHECK (length(inner_pad) = 64),
  outer_pad bytea NOT NULL CONSTRAINT ck_tenant_keys_outer CHECK (length(outer_pad) = 64),
  since timestamptz NOT NULL DEFAULT now());

-- name: current_tenant
-- The tenant that the setting is signed for: tenant.expiry.hmac, made by truing.rbac.access.sign. NULL where it is
-- empty; an error where it is anything else that no key has signed, or that expired before the transaction began, for
-- who sees nothing might take that for an answer. Digests are compared, not what they are of, so that the time a
-- comparison takes says nothing about the code that was expected. Its cost has
-- the planner look tenants up in an index, which asks once, rather than ask for each row that it reads.
CREATE OR REPLACE FUNCTION :"program".current_tenant() RETURNS uuid
LANGUAGE plpgsql STABLE PARALLEL SAFE COST 5000 SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  said text := current_setting(:'setting', true);
  message bytea;
  code bytea;
BEGIN
  IF said IS NULL OR said = '' THEN
    RETURN NULL;
  END IF;
  IF said ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[0-9]{1,11}\.[0-9a-f]{64}$' THEN
    message := convert_to(left(said, -65), 'UTF8');
    code := sha256(decode(right(said, 64), 'hex'));
    IF (SELECT bool_or(sha256(sha256(k.outer_pad || sha256(k.inner_pad || message))) = code)
        FROM :"program".tenant_keys k) THEN
      IF split_part(said, '.', 2)::bigint > extract(epoch FROM now()) THEN
        RETURN left(said, 36)::uuid;
      END IF;
      RAISE EXCEPTION 'the signed tenant has expired' USING ERRCODE = 'invalid_authorization_specification',
        HINT = 'Sign it when the transaction begins; truing.rbac.access.tenant(..., secret=...) does.';
    END IF;
  END IF;
  RAISE EXCEPTION 'the tenant is not signed with a key of this database'
    USING ERRCODE = 'invalid_authorization_specification',
          HINT = 'truing.rbac.access.tenant(..., secret=...) sets one that is.';
END
$body$;

-- name: rotate_tenant_key
-- Sign with this secret from now on. What the one before has signed is good until it expires, or until the next
-- rotation, or until forget_previous_tenant_key(). For who administers.
CREATE OR REPLACE FUNCTION :"program".rotate_tenant_key(p_secret bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  inside bytea;
  outside bytea;
BEGIN
  IF p_secret IS NULL OR length(p_secret) < 32 THEN
    RAISE EXCEPTION 'a secret has at least 32 bytes, not %', COALESCE(length(p_secret), 0)
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Make one with secrets.token_bytes(32).';
  END IF;
  inside := CASE WHEN length(p_secret) > 64 THEN sha256(p_secret) ELSE p_secret END;
  inside := inside || decode(repeat('00', 64 - length(inside)), 'hex');
  outside := inside;
  FOR n IN 0..63 LOOP
    inside := set_byte(inside, n, get_byte(inside, n) # 54);
    outside := set_byte(outside, n, get_byte(outside, n) # 92);
  END LOOP;
  LOCK TABLE :"program".tenant_keys IN SHARE ROW EXCLUSIVE MODE;
  IF EXISTS (SELECT FROM :"program".tenant_keys k WHERE k.which = 'current' AND k.inner_pad = inside) THEN
    RETURN;
  END IF;
  DELETE FROM :"program".tenant_keys k WHERE k.which = 'previous';
  UPDATE :"program".tenant_keys k SET which = 'previous' WHERE k.which = 'current';
  INSERT INTO :"program".tenant_keys (which, inner_pad, outer_pad) VALUES ('current', inside, outside);
END
$body$;

-- name: forget_previous_tenant_key
-- What the key before has signed is refused from now on: after a rotation, or at once where it has leaked.
CREATE OR REPLACE FUNCTION :"program".forget_previous_tenant_key() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  DELETE FROM :"program".tenant_keys k WHERE k.which = 'previous';
END
$body$;
