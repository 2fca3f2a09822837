-- KEYS[1]: the reservation. Its leases are named in it; they have the same hash tag.
local held = redis.call('GET', KEYS[1])
if not held then
  return { 0 }
end
local taken = cjson.decode(held)
local ttl = tonumber(taken[1])
redis.call('PEXPIRE', KEYS[1], num(math.max(1, math.ceil(ttl / 1000))))

for i = 2, #taken do
  local lease = taken[i]
  local ends = lease[1] == 'leases' and redis.call('ZSCORE', lease[2], lease[3])
  -- A lease that has lapsed may be somebody else's by now.
  if ends and tonumber(ends) > now then
    redis.call('ZADD', lease[2], num(now + ttl), lease[3])
    local last = redis.call('ZREVRANGE', lease[2], 0, 0, 'WITHSCORES')
    redis.call('PEXPIREAT', lease[2], num(math.ceil(tonumber(last[2]) / 1000)))
  end
end
return { 1 }
