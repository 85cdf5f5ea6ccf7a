"""The Lua side of `RedisLimitStore`: the arithmetic of `ratelimit.algorithms` in integer microseconds.

The server's clock decides, so callers need no synchronised hosts. All numbers stay below 2^53 and are written with
``%.0f``: Lua's own format keeps 14 digits, which loses 100 microseconds of an epoch time. Every key expires when its
bucket is full again, so a counter cannot lose its time to live and deny for ever.

All charges of a check arrive packed in one argument, and the levels come back as one text of numbers, because a client
spends more on each argument and each element of a reply than on the decision. One charge is: kind, a, b, c, enforced,
units (and for a settlement: actual units and three marks).
Kinds: 1 gcra (a = emission, b = tolerance); 2 exact (a = period, b = limit); 3 calendar of fixed length (a = length,
b = limit, c = offset); 4 calendar month (a = first day, b = limit).
"""

from __future__ import annotations

from typing import Final

__all__ = ["CLEAR", "SETTLE", "TAKE", "TAKE_GCRA"]

_COMMON: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local DAY = 86400000000

local function text(number) return string.format('%.0f', number) end

local function put(key, value, left)
  if left <= 0 then redis.call('DEL', key)
  else redis.call('SET', key, value, 'PX', text(math.floor(left / 1000) + 1)) end
end

-- Days since 1970-01-01 of a civil date, and back (proleptic Gregorian calendar, eras of 400 years from March).
local function days_of(year, month, day)
  local y = month <= 2 and year - 1 or year
  local era = math.floor(y / 400)
  local of_era = y - era * 400
  local of_year = math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1
  return era * 146097 + of_era * 365 + math.floor(of_era / 4) - math.floor(of_era / 100) + of_year - 719468
end

local function date_of(days)
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  return yoe + era * 400 + (month <= 2 and 1 or 0), month, doy - math.floor((153 * mp + 2) / 5) + 1
end

local function window(kind, a, c)
  if kind == 3 then
    local start = now - (now - c) % a
    return start, start + a
  end
  local year, month, day = date_of(math.floor(now / DAY))
  local at = year * 12 + month - 1 - (day < a and 1 or 0)
  local function first(of) return days_of(math.floor(of / 12), of % 12 + 1, a) * DAY end
  return first(at), first(at + 1)
end

local gcra, exact, calendar = {}, {}, {}
local meters = {gcra, exact, calendar, calendar}

function gcra.read(key)
  local value = redis.call('GET', key)
  if not value then return {0, 0, 0} end
  local arrival, given, latest = string.match(value, '^(%d+):(%d+):(%d+)$')
  arrival = tonumber(arrival or value)
  return {arrival, tonumber(given or 0), tonumber(latest or arrival)}
end
function gcra.write(key, s)
  local plain = text(s[1])
  put(key, s[2] > 0 and plain .. ':' .. text(s[2]) .. ':' .. text(s[3]) or plain, s[3] - now)
end
function gcra.wait(s, r, units)
  local need = r.a * units
  if need > r.b then return -1 end
  if units == 0 then return 0 end
  return math.max(math.max(s[1] - now, 0) + need - r.b, 0)
end
function gcra.take(s, r, units)
  if s[3] <= now then s[2] = 0 end
  s[1] = math.max(s[1], now) + r.a * units
  s[3] = math.max(s[3], s[1])
  return s[1], s[2], now
end
function gcra.give(s, r, units, ended, given, at)
  local length = r.a * units
  local left = math.max(ended - math.max(s[2] - given, 0) - now, length - (now - at))
  local back = math.min(length, left)
  if back > 0 and s[3] > 0 then s[1], s[2] = s[1] - back, s[2] + back end
end
function gcra.level(s, r)
  local depth = math.max(s[1] - now, 0)
  return math.floor(math.max(r.b - depth, 0) / r.a), depth
end

function exact.read(key, r)
  local value, live = redis.call('GET', key), {}
  for _, entry in ipairs(value and cmsgpack.unpack(value) or {}) do
    if now - entry[1] < r.a then live[#live + 1] = entry end
  end
  return live
end
function exact.write(key, s, r)
  put(key, cmsgpack.pack(s), #s > 0 and s[#s][1] + r.a - now or 0)
end
local function spent(s)
  local sum = 0
  for _, entry in ipairs(s) do sum = sum + entry[2] end
  return sum
end
function exact.wait(s, r, units)
  if units > r.b then return -1 end
  local over = spent(s) + units - r.b
  if units == 0 or over <= 0 then return 0 end
  for _, entry in ipairs(s) do
    over = over - entry[2]
    if over <= 0 then return entry[1] + r.a - now end
  end
end
function exact.take(s, r, units)
  local last = s[#s]
  if last and last[1] >= now then last[2] = last[2] + units; return last[1], 0, 0 end
  s[#s + 1] = {now, units}
  return now, 0, 0
end
function exact.give(s, r, units, at)
  for i = #s, 1, -1 do
    if s[i][1] == at then
      s[i][2] = math.max(s[i][2] - units, 0)
      if s[i][2] == 0 then table.remove(s, i) end
    end
  end
end
function exact.level(s, r)
  return math.max(r.b - spent(s), 0), #s > 0 and s[#s][1] + r.a - now or 0
end

function calendar.read(key, r)
  local start, stop = window(r.kind, r.a, r.c)
  local held, count = string.match(redis.call('GET', key) or '', '^(%d+):(%d+)$')
  return {start, tonumber(held) == start and tonumber(count) or 0, stop}
end
function calendar.write(key, s) put(key, text(s[1]) .. ':' .. text(s[2]), s[2] > 0 and s[3] - now or 0) end
function calendar.wait(s, r, units)
  if units > r.b then return -1 end
  return (units == 0 or s[2] + units <= r.b) and 0 or s[3] - now
end
function calendar.take(s, r, units) s[2] = s[2] + units; return s[1], 0, 0 end
function calendar.give(s, r, units, start)
  if s[1] == start then s[2] = math.max(s[2] - units, 0) end
end
function calendar.level(s, r) return math.max(r.b - s[2], 0), s[2] > 0 and s[3] - now or 0 end
"""

TAKE: Final = (
    _COMMON
    + """
local commit, admitted, seen, at = ARGV[1] == '1', true, {}, 1
for i, key in ipairs(KEYS) do
  local kind, a, b, c, enforced, units
  kind, a, b, c, enforced, units, at = struct.unpack('<dddddd', ARGV[2], at)
  local r = {kind = kind, a = a, b = b, c = c}
  local state = meters[kind].read(key, r)
  local wait = meters[kind].wait(state, r, units)
  if wait ~= 0 and enforced == 1 then admitted = false end
  seen[i] = {r, state, wait, units}
end
local reply = {admitted and '1' or '0'}
for i, key in ipairs(KEYS) do
  local r, state, wait, units = unpack(seen[i])
  local meter, taken, m1, m2, m3 = meters[r.kind], 0, 0, 0, 0
  if admitted and commit and wait == 0 and units > 0 then
    m1, m2, m3 = meter.take(state, r, units)
    meter.write(key, state, r)
    taken = 1
  end
  local remaining, reset = meter.level(state, r)
  reply[i + 1] = string.format('%.0f:%.0f:%.0f:%d:%.0f:%.0f:%.0f', wait, remaining, reset, taken, m1, m2, m3)
end
return table.concat(reply, ':')
"""
)

TAKE_GCRA: Final = """
local clock, commit, admitted, at = redis.call('TIME'), ARGV[1] == '1', true, 1
local now = clock[1] * 1000000 + clock[2]
local needs, arrivals, givens, latests, reply = {}, {}, {}, {}, {}
for i = 1, #KEYS do
  local emission, tolerance, enforced, units
  emission, tolerance, enforced, units, at = struct.unpack('<dddd', ARGV[2], at)
  local held = redis.call('GET', KEYS[i]) -- MGET would take a value of another type for none
  local arrival, given, latest = tonumber(held or 0), 0
  if not arrival then
    arrival, given, latest = string.match(held, '^(%d+):(%d+):(%d+)$')
    arrival, given, latest = tonumber(arrival), tonumber(given), tonumber(latest)
  end
  local need = emission * units
  local depth = arrival > now and arrival - now or 0
  local wait = need > tolerance and -1 or need > 0 and depth + need - tolerance or 0
  if wait < 0 and need <= tolerance then wait = 0 end
  if wait ~= 0 and enforced == 1 then admitted = false end
  needs[i], arrivals[i], givens[i], latests[i] = wait == 0 and need or 0, arrival, given, latest or arrival
  reply[i] = wait
end
local format = string.format
for i = 1, #KEYS do
  local need, arrival, given = needs[i], arrivals[i], givens[i]
  if admitted and commit and need > 0 then
    local latest = latests[i]
    if latest <= now then given = 0 end
    arrival = (arrival > now and arrival or now) + need
    if given == 0 then
      redis.call('SET', KEYS[i], format('%.0f', arrival), 'PX', format('%.0f', (arrival - now) / 1000 + 1))
    else
      if latest < arrival then latest = arrival end
      local value = format('%.0f:%.0f:%.0f', arrival, given, latest)
      redis.call('SET', KEYS[i], value, 'PX', format('%.0f', (latest - now) / 1000 + 1))
    end
  end
  reply[i] = format('%.0f:%.0f:%.0f', reply[i], arrival > now and arrival - now or 0, given)
end
return format('%d:%.0f:', admitted and 1 or 0, now) .. table.concat(reply, ':')
"""
"""`TAKE` where all rules are gcra, as most are: without functions, which Lua would make anew in every call.

A charge is emission, tolerance, enforced, units. The reply is admitted and now, then for each rule wait, time to full
and what was given back; the caller computes the rest.
"""

SETTLE: Final = (
    _COMMON
    + """
for i, key in ipairs(KEYS) do
  local kind, a, b, c, _, taken, actual, m1, m2, m3 = struct.unpack('<dddddddddd', ARGV[i])
  local r = {kind = kind, a = a, b = b, c = c}
  local state = meters[kind].read(key, r)
  if actual < taken then meters[kind].give(state, r, taken - actual, m1, m2, m3)
  else meters[kind].take(state, r, actual - taken) end
  meters[kind].write(key, state, r)
end
return 1
"""
)

CLEAR: Final = "return redis.call('DEL', unpack(KEYS))"
