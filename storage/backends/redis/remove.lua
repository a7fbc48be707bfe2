-- Deletes an entry. KEYS: the index, the hash. ARGV: the time in milliseconds, the key, the expected etag ("*" for any).
-- Returns 1 if there was one that had not expired, 0 if not, -1 if it is another one.
local present = redis.call('hmget', KEYS[2], 'etag', 'expires')
if ARGV[3] ~= '*' and present[1] ~= ARGV[3] then
    return -1
end
redis.call('del', KEYS[2])
redis.call('zrem', KEYS[1], ARGV[2])
if not present[1] or (present[2] ~= '' and tonumber(present[2]) <= tonumber(ARGV[1])) then
    return 0
end
return 1
