-- control.c: $1 queue, tenant
DELETE FROM jobq.pauses WHERE queue = $1::jsonb ->> 'queue' AND tenant_id IS NOT DISTINCT FROM $1::jsonb ->> 'tenant'
