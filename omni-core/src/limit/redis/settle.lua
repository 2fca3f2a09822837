-- KEYS[1]: the reservation. Its counts are named in it; they have the same hash tag.
-- ARGV: whether everything is given back, then for each real amount: name, amount.
local held = redis.call('GET', KEYS[1])
if not held then
  return { 0 }
end
redis.call('DEL', KEYS[1])

local undo = ARGV[1] == '1'
local actuals = {}
for i = 2, #ARGV, 2 do
  actuals[ARGV[i]] = actuals[ARGV[i]] or tonumber(ARGV[i + 1])
end

-- Takes an entry out of a window, and its amount out of the sums of those that came after it.
local function give_back(key, amount, at)
  local later, gone = {}, tonumber(amount)
  for i = redis.call('LLEN', key) - 1, 0, -1 do
    local own_at, own, sum = string.match(redis.call('LINDEX', key, i), '^(%d+):(%d+):(%d+)$')
    if own_at == at and own == amount then
      for j, entry in pairs(later) do
        redis.call('LSET', key, j, entry[1] .. ':' .. entry[2] .. ':' .. num(entry[3] - gone))
      end
      redis.call('LSET', key, i, 'gone')
      redis.call('LREM', key, -1, 'gone')
      return
    elseif tonumber(own_at) < tonumber(at) then
      return
    end
    later[i] = { own_at, own, tonumber(sum) }
  end
end

for i, taken in ipairs(cjson.decode(held)) do
  local actual = undo and 0 or taken[5] and actuals[taken[5]]
  if i > 1 and taken[1] == 'leases' then
    redis.call('ZREM', taken[2], taken[3])
  elseif i > 1 and taken[1] == 'window' then
    if undo then
      give_back(taken[2], taken[3], taken[4])
    end
  elseif i > 1 and actual and redis.call('HGET', taken[2], 'period') == taken[4] then
    local amount = tonumber(redis.call('HGET', taken[2], 'amount')) - tonumber(taken[3]) + actual
    redis.call('HSET', taken[2], 'amount', num(math.max(0, amount)))
  end
end
return { 1 }
