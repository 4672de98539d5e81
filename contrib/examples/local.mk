# contrib/examples: handlers of exec queues in several languages, installed beside the documentation; docs/handlers.md explains them
examplesdir = $(docdir)/examples
dist_examples_SCRIPTS = contrib/examples/words.py contrib/examples/letters.mjs contrib/examples/invoice.pl contrib/examples/archive.sh \
	contrib/examples/once.sh contrib/examples/orders.py contrib/examples/orders.mjs
EXTRA_DIST += docs/handlers.md
