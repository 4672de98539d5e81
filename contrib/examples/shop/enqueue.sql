-- One statement for each of the shop's job types. They can stand in any transaction of the application: its jobs are there when it
-- commits, and only then.

-- UI translations. Somebody waits for these: high priority, worth nothing after five minutes, and told on a channel when it is done.
SELECT jobq.enqueue('translations', '{"locale": "fi", "strings": {"cart.empty": "Your cart is empty", "hello": "Hello {name}", "new": "Brand new"}}',
    tenant_id => 'acme', type => 'translations:ui', priority => 'high', deadline => now() + interval '5 minutes', notify_channel => 'translations');

-- A product import. The same file is not imported twice at the same time.
SELECT jobq.enqueue('imports', '{"source": "products.csv", "format": "csv", "table": "shop.products", "key": ["store_id", "sku"], "on_conflict": "update"}',
    tenant_id => 'acme', type => 'imports:products', user_id => 'ann', unique_key => 'products.csv');

-- An inventory sync. Enqueue it at every sign of a change: while one waits or runs, the next is merged into it, and no change is lost.
SELECT jobq.enqueue('inventory', '{"url": "https://warehouse.example/stock", "direction": "pull", "table": "shop.inventory", "key": ["store_id", "sku"],
    "version": "updated_at"}', tenant_id => 'acme', type => 'inventory:pull', unique_key => 'warehouse', on_duplicate => 'replace');

-- A plugin install, tonight.
SELECT jobq.enqueue('plugins', '{"plugin": "seo", "version": "1.2.0", "archive": "seo-1.2.0.tar.gz", "sha256": "3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8550"}',
    type => 'plugins:install', run_at => date_trunc('day', now()) + interval '23 hours', unique_key => 'seo');

-- Marketplace exports: a job for every product of the store, in one statement. The listing's last state is the one that counts.
SELECT count(*) FROM jobq.enqueue_many((
    SELECT jsonb_agg(jsonb_build_object('queue', 'exports', 'tenant_id', store_id, 'type', 'exports:listing', 'unique_key', sku, 'on_duplicate', 'replace',
        'payload', jsonb_build_object('sku', sku, 'title', name, 'price', price)))
    FROM shop.products WHERE store_id = 'acme'));
