-- Stores entries, all or none. KEYS: the index, then the hash of each entry. ARGV: for each entry its etag, what is known
-- about it as JSON, and its body; then, unless all of them are to be stored in any case and to stay, the time in milliseconds,
-- and for each entry what is expected ("*" for anything), and when it expires in milliseconds (or ""). Returns 0, or the
-- number of the entry that is not as expected.
local count = #KEYS - 1
local now = ARGV[3 * count + 1]
if now then
    for i = 1, count do
        local expected = ARGV[3 * count + 2 * i]
        if expected ~= '*' then
            local present = redis.call('hmget', KEYS[i + 1], 'etag', 'expires')
            local there = present[1] or ''
            if present[2] and present[2] ~= '' and tonumber(present[2]) <= tonumber(now) then
                there = ''
            end
            -- Its own etag: it was sent before, and the answer was lost.
            if there ~= expected and present[1] ~= ARGV[3 * i - 2] then
                return i
            end
        end
    end
end
-- The name of a hash is that of the index, with "entry:" and the key instead of "keys".
local behind = #KEYS[1] + 3
for i = 1, count do
    local name = KEYS[i + 1]
    local expires = now and ARGV[3 * count + 2 * i + 1] or ''
    local new = redis.call('hset', name, 'etag', ARGV[3 * i - 2], 'expires', expires, 'about', ARGV[3 * i - 1], 'body', ARGV[3 * i])
    -- What is there is in the index; it may have been meant to expire.
    if new > 0 then
        redis.call('zadd', KEYS[1], 0, string.sub(name, behind))
    end
    if expires ~= '' then
        redis.call('pexpireat', name, expires)
    elseif new == 0 then
        redis.call('persist', name)
    end
end
return 0
