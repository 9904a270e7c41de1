# perl bot.pl URL USER tiny|lwp: one session by HTTP::Tiny, or by LWP::UserAgent with a connection that is kept.
use strict;
use warnings;
use JSON::PP;

my ($url, $user, $way) = @ARGV;
my $agent;
if ($way eq 'tiny') { require HTTP::Tiny; $agent = HTTP::Tiny->new; }
else { require LWP::UserAgent; $agent = LWP::UserAgent->new(keep_alive => 1); }

sub post {
    my ($path, $body, $wanted) = @_;
    my ($sent, $status, $text) = (encode_json($body));
    if ($way eq 'tiny') {
        my $answer = $agent->post("$url/api/bots/$path", {headers => {'Content-Type' => 'application/json'}, content => $sent});
        ($status, $text) = ($answer->{status}, $answer->{content});
    } else {
        my $answer = $agent->post("$url/api/bots/$path", 'Content-Type' => 'application/json', Content => $sent);
        ($status, $text) = ($answer->code, $answer->content);
    }
    die "$path: $status $text\n" if $status != $wanted;
    return decode_json($text);
}

my %name = (session_id => post('start', {user_id => $user}, 201)->{session}{session_id});
post('heartbeat', {%name}, 200);
post('trades', {%name, symbol => 'BTC/USDT', side => 'buy', quantity => '1', price => '100'}, 201);
post('stop', {%name}, 200);
print "stopped\n";
