-- What the three scripts share. Times are microseconds of the server's clock, which stands before
-- this as `time`. Numbers go through `num`, because Lua would write large ones with 14 digits only.
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local DAY = 86400000000

local function num(n)
  return string.format('%.0f', n)
end

-- The present day and month as labels, and how long each goes on.
local function calendar()
  local days = math.floor(now / DAY)
  local day_left = (days + 1) * DAY - now
  -- Days since 0000-03-01, so that a leap day is the last of its year.
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local next_first = math.floor((153 * (mp + 1) + 2) / 5)
  if mp == 11 then
    -- From March on, so the February that ends this year is in the next one.
    local year = era * 400 + yoe + 1
    local leap = (year % 4 == 0 and year % 100 ~= 0) or year % 400 == 0
    next_first = leap and 366 or 365
  end
  local month_left = (days + next_first - doy) * DAY - now
  return {
    day = { label = num(days), left = day_left },
    month = { label = num(era * 4800 + yoe * 12 + mp), left = month_left },
  }
end
