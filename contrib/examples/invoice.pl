#!/usr/bin/perl
# A handler for exec queues in Perl: one job after another, its errors told apart.
#
#     [queue invoice]
#     handler = exec
#     command = /usr/bin/perl /usr/share/doc/jobq/examples/invoice.pl
#
#     SELECT jobq.enqueue('invoice', '{"lines": [{"cents": 250, "count": 3}], "vat_percent": 24}');
use strict;
use warnings;
use JSON::PP;

my $json = JSON::PP->new->utf8->canonical;
$| = 1;    # every answer leaves at once

sub work {
    my ($payload) = @_;
    my $net = 0;
    for my $line (@{ $payload->{lines} or die "the payload has no lines\n" }) {
        die "a line has no cents\n" unless defined $line->{cents};
        $net += $line->{cents} * ($line->{count} // 1);
    }
    my $vat = int($net * ($payload->{vat_percent} // 0) / 100 + 0.5);
    return { net => $net, vat => $vat, total => $net + $vat };
}

while (my $text = <STDIN>) {
    my $job = $json->decode($text);
    next if $job->{cancel};
    my $result = eval { work($job->{payload}) };
    my %answer = $result ? (outcome => 'done', result => $result) : (outcome => 'fail', error => $@ =~ s/\n\z//r);
    print $json->encode({ id => $job->{id}, %answer }), "\n";
}
