-- KEYS[1]: the reservation. Its counts are named in it; they have the same hash tag.
-- ARGV: for each real amount: name, amount.
local held = redis.call('GET', KEYS[1])
if not held then
  return { 0 }
end
redis.call('DEL', KEYS[1])

local actuals = {}
for i = 1, #ARGV, 2 do
  actuals[ARGV[i]] = actuals[ARGV[i]] or tonumber(ARGV[i + 1])
end

for i, taken in ipairs(cjson.decode(held)) do
  local actual = taken[5] and actuals[taken[5]]
  if i > 1 and taken[1] == 'leases' then
    redis.call('ZREM', taken[2], taken[3])
  elseif i > 1 and actual and redis.call('HGET', taken[2], 'period') == taken[4] then
    local amount = tonumber(redis.call('HGET', taken[2], 'amount')) - tonumber(taken[3]) + actual
    redis.call('HSET', taken[2], 'amount', num(math.max(0, amount)))
  end
end
return { 1 }
