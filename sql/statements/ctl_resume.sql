-- control.c: $1 queue, tenant
SELECT jobq.resume($1::jsonb ->> 'queue', $1::jsonb ->> 'tenant')
