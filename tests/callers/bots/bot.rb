# ruby bot.rb URL USER: one session by Net::HTTP, on one connection.
require 'json'
require 'net/http'

url = URI(ARGV[0])
Net::HTTP.start(url.host, url.port) do |http|
  post = lambda do |path, body, wanted|
    answer = http.post("/api/bots/#{path}", JSON.generate(body), 'Content-Type' => 'application/json')
    raise "#{path}: #{answer.code} #{answer.body}" unless answer.code == wanted.to_s
    JSON.parse(answer.body)
  end
  name = { session_id: post.call('start', { user_id: ARGV[1] }, 201)['session']['session_id'] }
  post.call('heartbeat', name, 200)
  post.call('trades', name.merge(symbol: 'BTC/USDT', side: 'buy', quantity: '1', price: '100'), 201)
  post.call('stop', name, 200)
end
puts 'stopped'
