# contrib/examples: handlers of exec queues in several languages, installed beside the documentation; docs/handlers.md explains them
examplesdir = $(docdir)/examples
dist_examples_SCRIPTS = contrib/examples/words.py contrib/examples/letters.mjs contrib/examples/invoice.pl contrib/examples/archive.sh \
	contrib/examples/once.sh contrib/examples/orders.py contrib/examples/orders.mjs
EXTRA_DIST += docs/handlers.md docs/sql.md
shopdir = $(examplesdir)/shop
dist_shop_SCRIPTS = contrib/examples/shop/translate.py contrib/examples/shop/plugin_install.sh
dist_shop_DATA = contrib/examples/shop/shop.conf contrib/examples/shop/shop.sql contrib/examples/shop/enqueue.sql
