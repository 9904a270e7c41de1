<?php // php bot.php URL USER curl|streams: one session by ext/curl, or by the http:// stream wrapper.
[, $url, $user, $way] = $argv;
$curl = curl_init();

function post(string $path, array $body, int $wanted): array
{
    global $url, $way, $curl;
    $content = json_encode($body);
    if ($way === 'curl') {
        curl_setopt_array($curl, [
            CURLOPT_URL => "$url/api/bots/$path", CURLOPT_POSTFIELDS => $content, CURLOPT_RETURNTRANSFER => true,
            CURLOPT_HTTPHEADER => ['Content-Type: application/json'],
        ]);
        $text = curl_exec($curl);
        $status = curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
    } else {
        $http = ['method' => 'POST', 'header' => 'Content-Type: application/json', 'content' => $content, 'ignore_errors' => true];
        $text = file_get_contents("$url/api/bots/$path", false, stream_context_create(['http' => $http]));
        $status = (int) explode(' ', $http_response_header[0])[1];
    }
    if ($status !== $wanted) {
        fwrite(STDERR, "$path: $status $text\n");
        exit(1);
    }
    return json_decode($text, true, 512, JSON_THROW_ON_ERROR);
}

$name = ['session_id' => post('start', ['user_id' => $user], 201)['session']['session_id']];
post('heartbeat', $name, 200);
post('trades', $name + ['symbol' => 'BTC/USDT', 'side' => 'buy', 'quantity' => '1', 'price' => '100'], 201);
post('stop', $name, 200);
echo "stopped\n";
