-- Stores entries, all or none. KEYS: the index, then the hash of each entry. ARGV: the time in milliseconds, then for each
-- entry what is expected ("*" for anything), when it expires in milliseconds (or ""), its key, its etag, what is known about
-- it as JSON, and its body. Returns 0, or the number of the entry that is not as expected.
local now = tonumber(ARGV[1])
for i = 2, #KEYS do
    local at = 2 + (i - 2) * 6
    local expected, etag = ARGV[at], ARGV[at + 3]
    if expected ~= '*' then
        local present = redis.call('hmget', KEYS[i], 'etag', 'expires')
        local there = present[1] or ''
        if present[2] and present[2] ~= '' and tonumber(present[2]) <= now then
            there = ''
        end
        -- Its own etag: it was sent before, and the answer was lost.
        if there ~= expected and present[1] ~= etag then
            return i - 1
        end
    end
end
for i = 2, #KEYS do
    local at = 2 + (i - 2) * 6
    redis.call('del', KEYS[i])
    redis.call('hset', KEYS[i], 'etag', ARGV[at + 3], 'expires', ARGV[at + 1], 'about', ARGV[at + 4], 'body', ARGV[at + 5])
    if ARGV[at + 1] ~= '' then
        redis.call('pexpireat', KEYS[i], ARGV[at + 1])
    end
    redis.call('zadd', KEYS[1], 0, ARGV[at + 2])
end
return 0
