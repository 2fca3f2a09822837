-- KEYS[1]: the reservation. KEYS[i + 1]: the count of charge i.
-- ARGV: ttl (0 takes nothing, and tells how counts stand), id, then for each charge: kind, max, amount, window's length, name.
-- Returns 1 and for each charge: used, reset; or 0, the charge that does not fit, used, retry after.
local ttl, id = tonumber(ARGV[1]), ARGV[2]
local periods = calendar()

local charges = {}
for i = 1, #KEYS - 1 do
  local at = 3 + (i - 1) * 5
  charges[i] = {
    key = KEYS[i + 1],
    kind = ARGV[at],
    max = tonumber(ARGV[at + 1]),
    amount = tonumber(ARGV[at + 2]),
    amount_text = ARGV[at + 2],
    per = tonumber(ARGV[at + 3]),
    name = ARGV[at + 4],
  }
end

-- A window is a list of `time:amount:sum`; sums go on, so that what the list holds is the
-- difference between its ends.
local function entry(text)
  local at, amount, sum = string.match(text, '^(%d+):(%d+):(%d+)$')
  return tonumber(at), tonumber(amount), tonumber(sum)
end

local function window(charge)
  while true do
    local head = redis.call('LINDEX', charge.key, 0)
    if not head then
      return 0, 0
    end
    local at, amount, sum = entry(head)
    if now - at < charge.per then
      local _, _, last = entry(redis.call('LINDEX', charge.key, -1))
      return last - sum + amount, at + charge.per - now
    end
    redis.call('LPOP', charge.key)
  end
end

-- How long until `excess` of the window has gone by; the whole window when it never fits.
local function free_after(charge, excess, used)
  local freed, from = 0, 0
  while freed < excess and excess <= used do
    for _, text in ipairs(redis.call('LRANGE', charge.key, from, from + 63)) do
      local at, amount = entry(text)
      freed = freed + amount
      if freed >= excess then
        return at + charge.per - now
      end
    end
    from = from + 64
  end
  return charge.per
end

-- Leases are a sorted set of `amount:id:charge` by the time they end.
local function leases(charge)
  redis.call('ZREMRANGEBYSCORE', charge.key, '-inf', num(now))
  local used = 0
  for _, member in ipairs(redis.call('ZRANGE', charge.key, 0, -1)) do
    used = used + tonumber(string.match(member, '^%d+'))
  end
  local first = redis.call('ZRANGE', charge.key, 0, 0, 'WITHSCORES')
  return used, first[2] and tonumber(first[2]) - now or 0
end

local function budget(charge)
  local period = periods[charge.kind]
  local spent = redis.call('HMGET', charge.key, 'period', 'amount')
  return spent[1] == period.label and tonumber(spent[2]) or 0, period.left
end

local function standing(charge)
  if charge.kind == 'window' then
    return window(charge)
  elseif charge.kind == 'leases' then
    return leases(charge)
  end
  return budget(charge)
end

local take = {}

function take.window(charge)
  if charge.amount == 0 then
    return
  end
  local last = redis.call('LINDEX', charge.key, -1)
  local sum = 0
  if last then
    local _, _, so_far = entry(last)
    sum = so_far
  end
  redis.call('RPUSH', charge.key, num(now) .. ':' .. charge.amount_text .. ':' .. num(sum + charge.amount))
  redis.call('PEXPIRE', charge.key, num(math.ceil(charge.per / 1000)))
  return { 'window', charge.key, charge.amount_text, num(now) }
end

function take.leases(charge, i)
  local member = charge.amount_text .. ':' .. id .. ':' .. i
  redis.call('ZADD', charge.key, num(now + ttl), member)
  local last = redis.call('ZREVRANGE', charge.key, 0, 0, 'WITHSCORES')
  redis.call('PEXPIREAT', charge.key, num(math.ceil(tonumber(last[2]) / 1000)))
  return { 'leases', charge.key, member }
end

local function take_budget(charge)
  local period = periods[charge.kind]
  if redis.call('HGET', charge.key, 'period') ~= period.label then
    redis.call('HSET', charge.key, 'period', period.label, 'amount', '0')
  end
  redis.call('HINCRBY', charge.key, 'amount', charge.amount_text)
  redis.call('PEXPIREAT', charge.key, num(math.ceil((now + period.left) / 1000)))
  return { 'budget', charge.key, charge.amount_text, period.label, charge.name }
end
take.day, take.month = take_budget, take_budget

local function refusal()
  local before, worst = {}, nil
  for i, charge in ipairs(charges) do
    local used, reset = standing(charge)
    local wanted = used + (before[charge.key] or 0) + charge.amount
    before[charge.key] = (before[charge.key] or 0) + charge.amount
    if wanted > charge.max then
      local retry = charge.kind == 'window' and free_after(charge, wanted - charge.max, used) or reset
      if not worst or worst[4] < retry then
        worst = { 0, i, used, retry }
      end
    end
  end
  return worst
end

if ttl > 0 and redis.call('EXISTS', KEYS[1]) == 0 then
  local refused = refusal()
  if refused then
    return refused
  end
  -- The first element makes a list of it even where nothing is to be settled.
  local taken = { ARGV[1] }
  for i, charge in ipairs(charges) do
    taken[#taken + 1] = take[charge.kind](charge, i)
  end
  redis.call('SET', KEYS[1], cjson.encode(taken), 'PX', num(math.max(1, math.ceil(ttl / 1000))))
end

local reply = { 1 }
for _, charge in ipairs(charges) do
  local used, reset = standing(charge)
  reply[#reply + 1] = used
  reply[#reply + 1] = reset
end
return reply
