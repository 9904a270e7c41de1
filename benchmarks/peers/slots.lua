-- One start, atomically: the user's slot, the cap, the session with its lease.
if redis.call('EXISTS', KEYS[1]) == 1 then return 'user_limit' end
if redis.call('SCARD', KEYS[2]) >= tonumber(ARGV[1]) then return 'server_full' end
redis.call('HSET', KEYS[3], 'user', ARGV[2], 'bot', ARGV[3], 'started_at', ARGV[4])
redis.call('EXPIRE', KEYS[3], 60)
redis.call('SET', KEYS[1], KEYS[3], 'EX', 60)
redis.call('SADD', KEYS[2], KEYS[3])
return 'ok'
