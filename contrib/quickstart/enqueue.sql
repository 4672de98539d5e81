SELECT count(jobq.enqueue('sms',
    jsonb_build_object('to', '+35840' || to_char(n, 'FM0000000'), 'text', format('Hello %s from shop %s', n, n % 5)),
    tenant_id => 'shop-' || n % 5,
    priority  => (ARRAY['normal', 'high', 'low', 'urgent'])[1 + n / 5 % 4]))
FROM generate_series(1, :messages) n;
