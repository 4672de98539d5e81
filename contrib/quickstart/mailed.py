#!/usr/bin/python3
"""contrib/quickstart/mailed.py DIR N: are the messages in DIR the N that enqueue.sql asks for, each once and whole? Says so, or exits with 1."""
import email
import email.policy
import glob
import sys


def orders(directory):
    """The number in each message: in its envelope, its subject and its attachment, which must agree."""
    for path in glob.glob(directory + "/*.eml"):
        with open(path, "rb") as f:
            message = email.message_from_binary_file(f, policy=email.policy.default)
        number = message["Subject"].removeprefix("Order ")
        attachment = next(message.iter_attachments())
        assert message["X-Envelope-To"] == f"customer-{number}@example.com", path
        assert attachment.get_filename() == "order.txt" and attachment.get_content().strip() == f"Order {number}", path
        yield int(number)


found = sorted(orders(sys.argv[1]))
if found != list(range(1, int(sys.argv[2]) + 1)):
    sys.exit(f"{len(found)} messages, of the orders {found}")
print(f"{len(found)} messages, each once, with its attachment")
