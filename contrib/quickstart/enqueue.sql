-- SMS of five tenants
SELECT count(jobq.enqueue('sms',
    jsonb_build_object('to', '+35840' || to_char(n, 'FM0000000'), 'text', format('Hello %s from shop %s', n, n % 5)),
    tenant_id => 'shop-' || n % 5,
    priority  => (ARRAY['normal', 'high', 'low', 'urgent'])[1 + n / 5 % 4]))
FROM generate_series(1, :messages) n;
-- mail, with an attachment
SELECT count(jobq.enqueue('email',
    jsonb_build_object('to', format('customer-%s@example.com', n), 'subject', format('Order %s', n), 'text', 'Thank you!',
        'attachments', jsonb_build_array(jsonb_build_object('filename', 'order.txt', 'content_type', 'text/plain',
            'data_base64', encode(convert_to(format('Order %s', n), 'UTF8'), 'base64')))), tenant_id => 'shop-' || n % 5))
FROM generate_series(1, 50) n;
-- a file of 100,000 products, and what is in stock, from the shop's own service
SELECT jobq.enqueue('import', '{"source": "products.csv", "format": "csv", "table": "shop.products", "key": ["store_id", "sku"]}', 'shop-1');
SELECT jobq.enqueue('sync', jsonb_build_object('url', :'shop', 'direction', 'pull', 'table', 'shop.inventory', 'key', '["store_id", "sku"]'::jsonb),
    'shop-1', unique_key => 'inventory', on_duplicate => 'replace');
-- and a program of twenty lines of Python
SELECT count(jobq.enqueue('words', jsonb_build_object('text', repeat('to be or not to be ', n)), tenant_id => 'shop-' || n % 5))
FROM generate_series(1, 20) n;
