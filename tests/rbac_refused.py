"""What the legacy database lets people write, and the keys and checks of head refuse: one statement for each."""

from __future__ import annotations

REFUSED_AT_HEAD = (
    # A grant of another tenant's role, and one that names another tenant than its person and its role have.
    (
        "INSERT INTO user_roles (user_id, role_id, tenant_id) SELECT p.id, r.id, r.tenant_id FROM profiles p JOIN roles r"
        " ON r.tenant_id::text <> p.tenant_id AND r.id IN (8, 12) ORDER BY p.id LIMIT 10 ON CONFLICT DO NOTHING"
    ),
    (
        "UPDATE user_roles u SET tenant_id = (SELECT id FROM tenants WHERE name = 'Tenant 5')"
        " WHERE id IN (SELECT id FROM user_roles WHERE tenant_id IS NOT NULL ORDER BY id LIMIT 5)"
    ),
    "INSERT INTO roles (tenant_id, name) SELECT tenant_id, name FROM roles WHERE id <= 8",
    "UPDATE profiles SET role = 'no such role' WHERE id IN (SELECT id FROM profiles ORDER BY id LIMIT 7)",
    (
        "UPDATE profiles SET email = upper((SELECT email FROM profiles WHERE email IS NOT NULL ORDER BY id LIMIT 1))"
        " WHERE id IN (SELECT id FROM profiles WHERE email IS NOT NULL ORDER BY id LIMIT 40)"
    ),
    (
        "INSERT INTO sidebar_features (feature_id, tenant_id, sidebar_name, url_path)"
        " SELECT feature_id, tenant_id, sidebar_name || ' again', url_path FROM sidebar_features"
    ),
    (
        "INSERT INTO sidebar_features (feature_id, tenant_id, sidebar_name, url_path) SELECT f.id, t.id, 'bad', path"
        " FROM (SELECT id FROM feature_flags LIMIT 1) f, (SELECT id FROM tenants UNION ALL SELECT NULL) t,"
        " unnest(ARRAY['javascript:alert(1)', '//elsewhere', E'/\\\\elsewhere', '', 'plain']) AS path"
    ),
    "UPDATE sidebar_features SET requires_permission = 'no:such' WHERE display_order = 2",
)
