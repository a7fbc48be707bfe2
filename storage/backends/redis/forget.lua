-- Takes keys out of the index whose entries Redis has deleted because they expired. KEYS: the index, the hashes. ARGV: the
-- keys.
for i = 2, #KEYS do
    if redis.call('exists', KEYS[i]) == 0 then
        redis.call('zrem', KEYS[1], ARGV[i - 1])
    end
end
