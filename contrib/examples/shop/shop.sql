-- The shop's tables, as far as its background work touches them; and what jobqd's role may do with them.

CREATE SCHEMA shop;

CREATE TABLE shop.products (
    store_id text    NOT NULL,
    sku      text    NOT NULL,
    name     text    NOT NULL,
    price    numeric NOT NULL CHECK (price >= 0),
    PRIMARY KEY (store_id, sku)
);

CREATE TABLE shop.inventory (
    store_id   text        NOT NULL,
    sku        text        NOT NULL,
    quantity   integer     NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (store_id, sku)
);

GRANT USAGE ON SCHEMA shop TO jobq_worker;
GRANT SELECT, INSERT, UPDATE ON shop.products, shop.inventory TO jobq_worker;
