-- The application's own tables, in the queue's database: what is merged into them is committed together with the job.
CREATE SCHEMA shop;
CREATE TABLE shop.products (store_id text, sku text, name text, price numeric, PRIMARY KEY (store_id, sku));
CREATE TABLE shop.inventory (store_id text, sku text, quantity integer, PRIMARY KEY (store_id, sku));
GRANT USAGE ON SCHEMA shop TO jobq_worker;
GRANT SELECT, INSERT, UPDATE ON shop.products, shop.inventory TO jobq_worker;
